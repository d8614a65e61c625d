"""Measuring: what is counted, when it was sent and when it came."""
