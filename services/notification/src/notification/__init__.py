"""Countersign's notification service."""
