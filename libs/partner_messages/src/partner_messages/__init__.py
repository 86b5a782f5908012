"""The messages between settlement and a partner bank on Kafka: formats and signatures."""
