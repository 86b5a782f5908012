"""What can go wrong when the running system is asked, and the exit code that says so."""

REFUSED = 1
"""The system answered, and the answer is no."""
NOT_ASKED = 2
"""Nothing is known: an address, a credential or an answer is missing."""
AMBIGUOUS = 5
"""Several things match; one has to be named."""


HELP = "countersign --help"


class OpsError(Exception):
    """A sentence for the operator: what is wrong, and the command to run next."""

    exit_code = NOT_ASKED

    def __init__(self, what: str, then: str = HELP) -> None:
        super().__init__(f"{what}; next: `{then}`")


class NotAskedError(OpsError):
    """Somebody could not be asked."""


class RefusedError(OpsError):
    """Somebody was asked and refused."""

    exit_code = REFUSED


class AmbiguousError(OpsError):
    """The question fits several things."""

    exit_code = AMBIGUOUS
