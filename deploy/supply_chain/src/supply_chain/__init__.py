"""What the images contain, and what is known about it."""
