"""What an item is. Pure."""

from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from payment_schemas.events.sample import SampleServiceChanged


@dataclass(frozen=True, slots=True)
class Item:
    """An item; each change raises its version by one."""

    id: UUID
    name: str
    version: int = 1


def renamed(item: Item, name: str) -> Item:
    """Return the next version of an item."""
    return replace(item, name=name, version=item.version + 1)


def changed(item: Item, change: Literal["created", "renamed", "deleted"]) -> SampleServiceChanged:
    """Return the event that follows a change."""
    return SampleServiceChanged(
        item_id=item.id, change=change, name=item.name, version=item.version
    )
