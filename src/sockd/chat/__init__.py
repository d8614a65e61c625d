"""The chat's server without its sockets: users, channels and rules, told events and the time."""
