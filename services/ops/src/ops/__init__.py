"""Countersign's ops service."""
