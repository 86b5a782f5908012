"""The state of customers, in memory: a restart restores the seeded state."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mocks.bodies import MAX_ITEMS, Body

Status = Literal["verified", "pending", "expired", "rejected"]
UserId = Annotated[str, StringConstraints(min_length=1, max_length=200)]

SEEDED: dict[str, Status] = {"usr-458": "pending", "usr-459": "rejected", "usr-460": "expired"}
MAX_CUSTOMERS = 10_000


class StatusQuery(Body):
    """The users of a query."""

    user_ids: Annotated[list[UserId], Field(min_length=1, max_length=MAX_ITEMS)]


class NewStatus(Body):
    """A customer's new state."""

    status: Status


class Customers:
    """Customers with a seeded or changed state."""

    def __init__(self, limit: int = MAX_CUSTOMERS) -> None:
        self._limit = limit
        self._statuses = dict(SEEDED)

    def status_of(self, user_id: str) -> Status:
        """Return the state; an unknown customer is verified."""
        return self._statuses.get(user_id, "verified")

    def put(self, user_id: str, status: Status) -> bool:
        """Set the state; return False without a change if the limit is reached."""
        if user_id not in self._statuses and len(self._statuses) >= self._limit:
            return False
        self._statuses[user_id] = status
        return True
