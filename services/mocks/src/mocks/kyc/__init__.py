"""Identity checks: the state of a customer's documents."""
