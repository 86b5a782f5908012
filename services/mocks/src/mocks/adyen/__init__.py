"""Adyen's checkout payments and modifications, as far as charges uses them."""
