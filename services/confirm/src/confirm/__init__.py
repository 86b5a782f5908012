"""Countersign's confirm service."""
