"""A configuration file in, frozen settings out, with every mistake at once."""
