"""What the system says of an error, in words for the middle of a sentence."""

from __future__ import annotations


def words(error: OSError) -> str:
    """`connection refused`."""
    return (error.strerror or str(error)).lower()
