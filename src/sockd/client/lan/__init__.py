"""Who is on this network: what `sock discover` asks, and what it makes of the answers."""
