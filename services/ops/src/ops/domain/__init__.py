"""What is right and what is wrong, by rules alone. Pure."""
