"""Ports of our own for Twisted's reactors. Imports nothing else of sockd."""
