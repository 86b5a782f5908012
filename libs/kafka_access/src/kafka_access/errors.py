"""The error of this library."""


class AccessError(Exception):
    """The broker refused what was asked for; the message says what, and why."""
