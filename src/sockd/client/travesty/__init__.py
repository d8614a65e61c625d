"""The client of the travesty service: its half of the conversation, and how a user has it."""
