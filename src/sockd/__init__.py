"""Many small network services in one Twisted process."""

__version__ = "0.1.0"
