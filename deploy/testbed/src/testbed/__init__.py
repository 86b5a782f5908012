"""The stack that tests start, and the clients that drive it."""
