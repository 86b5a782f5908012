"""Password hashing, limits of sign-ins, and signed tokens."""
