"""The services: one file each. A Twisted plugin package: other distributions can add files."""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
