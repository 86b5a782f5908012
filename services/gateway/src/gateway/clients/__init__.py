"""What the gateway talks to: confirm over Kafka and HTTP, and the issuer of tokens."""
