"""What a charge, a refund, a tariff and a route are, and what follows from a provider's reply."""
