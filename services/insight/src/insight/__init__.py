"""Explanations of risk scores, and answers to questions about payments; nothing is decided."""
