"""Countersign's gateway service."""
