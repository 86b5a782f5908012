"""The part of an OpenAI-compatible API that completes chats, as far as insight uses it."""
