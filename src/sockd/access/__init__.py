"""Who may come in, what it may cost, and who is at the other end."""
