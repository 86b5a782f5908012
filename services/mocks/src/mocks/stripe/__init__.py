"""Stripe's payment intents and refunds, as far as charges uses them."""
