"""Rules of identity: subjects, passwords, refresh tokens. Pure."""
