"""What a partner bank of Countersign needs on Kafka. It imports nothing of Countersign itself."""
