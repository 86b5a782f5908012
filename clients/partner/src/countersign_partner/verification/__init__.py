"""`verify`: play Countersign on a sandbox's Kafka, and judge the bank's consumer by its reports."""
