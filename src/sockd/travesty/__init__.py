"""Travesty: what a text is like, word for word, and other texts that are like it."""
