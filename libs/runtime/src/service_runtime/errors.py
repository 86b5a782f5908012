"""The tree of all errors that a handler may raise, and what each one makes the runtime do.

ServiceError
├── Rejected       this message will never work       → dead letter, go on
│   └── Conflict   a constraint of the database refuses it → 409 where it was asked for by HTTP
├── Unavailable    something else is down for now     → nothing committed; the same again, later
└── Invariant      we are wrong; anything unknown too → three tries, then dead letter, alert, go on

A refusal by the business (declined, wrong code) is a return value, never an error.
"""

from enum import Enum

import psycopg


class ServiceError(Exception):
    """Something went wrong; `reason` is a stable word for headers and metrics."""

    reason = "error"


class Rejected(ServiceError):  # noqa: N818 - the name says what happens, as the design has it
    """This message will never work."""

    reason = "rejected"


class Conflict(Rejected):
    """A constraint of the database refuses what was to be written.

    `constraint` and `column` are the database's names where it gives them: a route that knows
    better says which field is meant. The message names no value: values are people's.
    """

    reason = "conflict"

    def __init__(self, details: str, constraint: str = "", column: str = "") -> None:
        super().__init__(details)
        self.constraint = constraint
        self.column = column


class Unavailable(ServiceError):  # noqa: N818
    """Something else is down for now."""

    reason = "unavailable"


class Invariant(ServiceError):  # noqa: N818
    """We are wrong."""

    reason = "invariant"


class Consequence(Enum):
    """What an error makes the runtime do."""

    DEAD_LETTER = "dead_letter"
    WAIT = "wait"
    TRY_AGAIN = "try again"
    RACE = "race"


def conflict_of(error: Exception) -> Conflict | None:
    """Return the conflict that a database error tells of; None where it is no constraint's."""
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
            # A trigger of ours: its text is the rule.
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
    """Say what an error makes the runtime do; anything unknown is our own fault.

    An error that the data provokes in the database is tried again and then becomes a dead letter.
    Every other database error is an outage, for which waiting loses nothing: a missing table, a
    full disk, a read-only standby, a lost connection. A unique violation may be a race, so it is
    retried first.
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
    """Say whether a transaction took too long: with fewer items it may do."""
    return isinstance(
        error, psycopg.errors.QueryCanceled | psycopg.errors.IdleInTransactionSessionTimeout
    )
