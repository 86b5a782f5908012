"""What confirm opens encrypted requests with: keys in a file, in a token, or at a service."""
