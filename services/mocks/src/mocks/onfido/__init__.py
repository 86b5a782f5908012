"""Onfido's applicants, documents and checks, as far as compliance uses them."""
