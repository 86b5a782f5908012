"""Pure decisions about payments and the ledger: no clock, no ids, no chance, no I/O."""
