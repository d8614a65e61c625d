"""The chat's client: a conversation without sockets, its doors, and what a user sees of it."""
