"""The wire of the chat: events, what stands in their texts, and what new peers add to them."""
