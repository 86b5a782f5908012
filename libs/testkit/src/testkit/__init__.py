"""Builders, memory twins, contract suites and the stack that tests start."""
