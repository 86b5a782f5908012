"""Sanctions screening, as a provider of list screening offers it."""
