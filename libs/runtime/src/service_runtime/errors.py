"""The tree of all errors that a handler may raise, and what each one makes the runtime do.

ServiceError
├── Rejected       this message will never work       → dead letter, go on
│   └── Conflict   a database constraint refuses it  → 409 to an HTTP request
├── Unavailable    a dependency is down               → nothing committed; retried later
└── Invariant      a defect; any unknown error, too   → three tries, then dead letter, alert, go on

A refusal by the business (declined, wrong code) is a return value, never an error.
"""

from enum import Enum

import psycopg


class ServiceError(Exception):
    """The base of all errors; `reason` is a stable word for headers and metrics."""

    reason = "error"


class Rejected(ServiceError):  # noqa: N818 - the name says what the runtime does
    """This message will never work."""

    reason = "rejected"


class Conflict(Rejected):
    """A database constraint refuses a write.

    `constraint` and `column` are the database's names, if known, for a route that reports the field
    of its own body. The message holds no value, because values can be personal data.
    """

    reason = "conflict"

    def __init__(self, details: str, constraint: str = "", column: str = "") -> None:
        super().__init__(details)
        self.constraint = constraint
        self.column = column


class Unavailable(ServiceError):  # noqa: N818
    """A dependency is down."""

    reason = "unavailable"


class Invariant(ServiceError):  # noqa: N818
    """A defect of the service."""

    reason = "invariant"


class Consequence(Enum):
    """What an error makes the runtime do."""

    DEAD_LETTER = "dead_letter"
    WAIT = "wait"
    TRY_AGAIN = "try again"
    RACE = "race"


def conflict_of(error: Exception) -> Conflict | None:
    """Return the conflict that a database error means; None for other errors."""
    match error:
        case Conflict():
            return error
        case psycopg.errors.UniqueViolation():
            meaning = "exists already"
        case psycopg.errors.ForeignKeyViolation():
            meaning = "refers to what does not exist, or is still referred to"
        case psycopg.errors.NotNullViolation():
            meaning = "is missing"
        case psycopg.errors.RaiseException():
            # Raised by a trigger of the schema, whose text is the rule.
            return Conflict(error.diag.message_primary or str(error))
        case psycopg.IntegrityError():
            meaning = "breaks a rule"
        case _:
            return None
    table, column = error.diag.table_name or "", error.diag.column_name or ""
    constraint = error.diag.constraint_name or ""
    subject = ".".join(name for name in (table, column or constraint) if name) or "the row"
    return Conflict(f"{subject}: {meaning}", constraint, column)


def consequence_of(error: Exception) -> Consequence:
    """Return what an error makes the runtime do; an unknown error counts as a defect.

    A database error that the data causes is retried and then becomes a dead letter. Every other
    database error is an outage (a missing table, a full disk, a read-only standby, a lost
    connection): waiting loses nothing. A unique violation may be a race and is retried first.
    """
    match error:
        case Rejected():
            return Consequence.DEAD_LETTER
        case psycopg.errors.UniqueViolation():
            return Consequence.RACE
        case psycopg.DataError() | psycopg.IntegrityError() | psycopg.errors.RaiseException():
            return Consequence.TRY_AGAIN
        case Unavailable() | psycopg.Error() | OSError() | TimeoutError():
            return Consequence.WAIT
        case _:
            return Consequence.TRY_AGAIN


def is_too_much(error: Exception) -> bool:
    """Return whether a transaction took too long: fewer items may fit."""
    return isinstance(
        error, psycopg.errors.QueryCanceled | psycopg.errors.IdleInTransactionSessionTimeout
    )
