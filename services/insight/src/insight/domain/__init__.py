"""What is explained, what counts as grounded, which questions are answered. Pure."""
