"""Countersign's risk service."""
