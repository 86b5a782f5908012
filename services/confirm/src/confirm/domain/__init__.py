"""Pure decisions about payments and the ledger: no clock, no generated ids, no I/O."""
