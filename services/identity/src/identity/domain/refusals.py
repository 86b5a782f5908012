"""Refusals of OAuth's routes. Pure."""


class OAuthError(Exception):
    """A refusal with an error code of OAuth. Source: RFC 6749, 4.1.2.1 and 5.2."""

    def __init__(self, error: str, details: str, status: int = 400) -> None:
        super().__init__(details)
        self.error = error
        self.status = status
