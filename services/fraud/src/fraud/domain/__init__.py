"""Features, models, their stages and their drift. Pure."""
