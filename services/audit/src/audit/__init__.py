"""Countersign's audit service."""
