"""Where to listen: listen strings, what the kernel binds, and the sockets that come of it."""
