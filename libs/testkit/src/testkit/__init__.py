"""Builders, memory twins and contract suites for tests."""
