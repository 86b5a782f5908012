"""Drives the real system with load, holds what it did against a gate, and reports what it cost."""
