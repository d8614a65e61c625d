"""What every service stands on: addresses, guards, framing, listeners, TLS."""
