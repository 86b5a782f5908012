"""Rules, their conditions and what they decide. Pure."""
