"""What options are made of: their declaration, and types that read themselves."""
