"""Rules of webhooks: endpoints, addresses, deliveries, signatures. Pure."""
