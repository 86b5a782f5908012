"""Topics, principals, rights and quotas on Kafka: for set-up and operators, never for a service."""
