"""Countersign's settlement service."""
