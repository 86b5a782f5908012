"""Which passwords are accepted. Source: NIST SP 800-63B-4, 3.1.1; ASVS 5.0, 6.2. Pure."""

from collections.abc import Container
from dataclasses import dataclass

MOST_CHARACTERS = 256
CONTEXT_WORDS = ("countersign", "payment", "password", "passwort")
FEWEST_DIFFERENT = 3
"""Characters; `abababab` has two."""
FEWEST_SHARED = 4
"""Shortest part of an e-mail address that a password may not contain."""


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """Rules of new passwords: length and guessability, never composition."""

    common: Container[str]
    """Passwords that many people use, in lower case."""
    min_characters: int

    def fault(self, password: str, email: str) -> str | None:
        """Say why a password is refused; None where it is accepted. `email` is in lower case."""
        if not self.min_characters <= len(password) <= MOST_CHARACTERS:
            return f"must have {self.min_characters} to {MOST_CHARACTERS} characters"
        lower, name = password.lower(), email.partition("@")[0]
        if lower in self.common or len(set(lower)) < FEWEST_DIFFERENT:
            return "is one of the passwords that are guessed first"
        words = [*CONTEXT_WORDS, *([name] if len(name) >= FEWEST_SHARED else [])]
        if any(word in lower and len(lower) < 2 * len(word) for word in words):
            return "is close to the name of this service or to your e-mail address"
        return None
