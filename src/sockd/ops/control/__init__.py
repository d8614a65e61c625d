"""The control socket: what a running daemon can be asked, and the bytes of it."""
