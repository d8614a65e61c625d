"""`sock`, the client: it speaks to every service, and measures it."""
