"""What `sockd` asks a running daemon, one file a topic; `sockd.cli` has the list."""
