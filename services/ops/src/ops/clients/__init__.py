"""The running system, asked over HTTP and Kafka."""
