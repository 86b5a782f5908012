"""The routes of ops' server."""
