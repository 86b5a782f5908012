"""The stack on one machine, with or without a Docker engine."""
