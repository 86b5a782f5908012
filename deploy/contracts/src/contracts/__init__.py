"""The published descriptions of events and HTTP routes, and their released versions."""
