"""The fraud service: models that score payments."""
