"""The daemon: instances, and what is done when a configuration is started or stopped."""
