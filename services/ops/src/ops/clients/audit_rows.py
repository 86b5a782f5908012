"""Rows of the audit log as they are sealed, streamed from the audit service."""

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from ops.clients.system import System
from ops.domain.errors import UnavailableError
from payment_schemas.checkpoints import Row, TreeName

SealedRow = tuple[int, Row]
"""A row with its id."""


class AuditRows:
    """The audit service's rows and trees. Methods raise UnavailableError."""

    def __init__(self, system: System) -> None:
        self._system = system

    def trees(self) -> dict[TreeName, tuple[int, bytes]]:
        """Return size and root of each tree, as the database has them now."""
        return {
            TreeName(one["era"], one["topic"], one["partition"]): (
                one["size"],
                bytes.fromhex(one["root"]),
            )
            for one in self.state()["trees"]
        }

    def state(self) -> dict[str, Any]:
        """Return the trees, the last checkpoint, and how far old rows are in trees."""
        found: dict[str, Any] = self._system.get("audit", "/admin/trees")
        return found

    def rows(self, first: int | None = None) -> Iterator[SealedRow]:
        """Yield all rows by id, or those from one on."""
        query = {} if first is None else {"first": first}
        with self._system.stream("audit", "/admin/leaves", **query) as texts:
            rest = ""
            for text in texts:
                *lines, rest = (rest + text).split("\n")
                for line in lines:
                    if not line:
                        return
                    yield _row(json.loads(line))
        raise UnavailableError("audit has cut its rows off", "make logs S=audit")

    def rows_of(self, event_id: UUID) -> list[tuple[int, Row, datetime]]:
        """Return an event's rows, and when each was recorded."""
        found = self._system.get("audit", f"/admin/leaves/{event_id}")
        times = map(datetime.fromisoformat, found["recorded_at"])
        return [(*_row(one), at) for one, at in zip(found["rows"], times, strict=True)]


def _row(fields: list[Any]) -> SealedRow:
    row_id, topic, partition, offset, time, event_id, event, payment_id, content, is_raw = fields
    where = topic, partition, offset, datetime.fromisoformat(time)
    payment = UUID(payment_id) if payment_id else None
    return row_id, Row(*where, UUID(event_id), event, payment, b64decode(content), is_raw)
