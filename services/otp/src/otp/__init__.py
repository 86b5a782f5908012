"""Countersign's otp service."""
