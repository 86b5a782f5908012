"""Countersign's mocks service."""
