"""A double-entry ledger that a service keeps in its own schema (libs/ledger/README.md)."""
