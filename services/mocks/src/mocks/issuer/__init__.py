"""A token issuer for development: signed access tokens and the keys to verify them."""
