"""The invariants, held against the running system. Pure: rules, timeline, joining."""
