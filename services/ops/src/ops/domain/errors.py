"""Errors of queries to the running system, with their exit codes."""

REFUSED = 1
"""The system refused the request."""
UNAVAILABLE = 2
"""An address, a credential or a response is missing."""
AMBIGUOUS = 5
"""Several items match; one must be selected."""


HELP = "countersign --help"


class OpsError(Exception):
    """A sentence for the operator: the problem, and the command to run next."""

    exit_code = UNAVAILABLE

    def __init__(self, what: str, then: str = HELP) -> None:
        super().__init__(f"{what}; next: `{then}`")
        self.what = what
        self.then = then


class UnavailableError(OpsError):
    """A service did not respond, or its address or credential is missing."""


class RefusedError(OpsError):
    """A service refused the request."""

    exit_code = REFUSED


class AmbiguousError(OpsError):
    """Several items match the request."""

    exit_code = AMBIGUOUS
