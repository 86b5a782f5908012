"""The rules of the checks and of the command. Pure."""
