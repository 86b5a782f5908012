"""Look-ups at other services before a transaction: once a batch; no record blocks the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from service_runtime.errors import Consequence, Unavailable, consequence_of
from service_runtime.messages import Batch

Gather = Callable[[Batch[Any, Any]], Awaitable[Mapping[UUID, Any]]]
"""Makes the look-ups; returns a value or an error for each item, by the id of its cause."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Results of the look-ups, and the failures of those that raised."""

    lookups: Mapping[UUID, Any] = field(default_factory=dict)
    failed: Mapping[UUID, Exception] = field(default_factory=dict)

    def require(self, batch: Batch[Any, Any]) -> None:
        """Raise the failure of the first item that has one; the unit of work isolates the item."""
        for item in batch:
            if item.cause.id in self.failed:
                raise self.failed[item.cause.id]


async def gather_for(gather: Gather | None, batch: Batch[Any, Any]) -> Gathered:
    """Look up all items at once, or one by one where that raises an unexpected error.

    Raises Unavailable where a dependency is down.
    """
    if gather is None:
        return Gathered()
    try:
        return Gathered(await gather(batch))
    except Exception as error:  # noqa: BLE001 - judged like a handler's
        _raise_if_down(error)
    return await _one_by_one(gather, batch)


async def _one_by_one(gather: Gather, batch: Batch[Any, Any]) -> Gathered:
    found: dict[UUID, Any] = {}
    failed: dict[UUID, Exception] = {}
    for item in batch:
        try:
            found |= await gather(replace(batch, items=[item]))
        except Exception as error:  # noqa: BLE001 - judged like a handler's
            _raise_if_down(error)
            failed[item.cause.id] = error
    return Gathered(found, failed)


def _raise_if_down(error: Exception) -> None:
    if consequence_of(error) is Consequence.WAIT:
        raise Unavailable(type(error).__qualname__) from error
