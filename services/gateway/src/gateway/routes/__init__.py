"""The public edge: one write, one read."""
