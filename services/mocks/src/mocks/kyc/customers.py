"""What is known of customers. In memory: a restart brings the seeded state back."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mocks.bodies import MAX_ITEMS, Body

Status = Literal["verified", "pending", "expired", "rejected"]
UserId = Annotated[str, StringConstraints(min_length=1, max_length=200)]

SEEDED: dict[str, Status] = {"usr-458": "pending", "usr-459": "rejected", "usr-460": "expired"}
MAX_CUSTOMERS = 10_000


class StatusQuery(Body):
    """Whose documents are asked about."""

    user_ids: Annotated[list[UserId], Field(min_length=1, max_length=MAX_ITEMS)]


class NewStatus(Body):
    """What a customer's documents shall be."""

    status: Status


class Customers:
    """Customers whose state is not simply `verified`, or was set by hand."""

    def __init__(self, limit: int = MAX_CUSTOMERS) -> None:
        self._limit = limit
        self._statuses = dict(SEEDED)

    def status_of(self, user_id: str) -> Status:
        """Return the state; anyone unknown is verified."""
        return self._statuses.get(user_id, "verified")

    def put(self, user_id: str, status: Status) -> bool:
        """Set the state; return False, changing nothing, where no more customers fit."""
        if user_id not in self._statuses and len(self._statuses) >= self._limit:
            return False
        self._statuses[user_id] = status
        return True
