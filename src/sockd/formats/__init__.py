"""Connection formats and texts, both halves in one file: no network, no clock, no chance."""
