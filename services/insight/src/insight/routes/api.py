"""What the routes share."""

from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Depends

from insight.domain.answers import Answered
from insight.store import Viewer
from service_runtime.edge import Access, Admission
from service_runtime.ports import Database

SCOPE = "payment.confirm"
"""Who may confirm payments may read own ones, as at the gateway."""


class Answerer(Protocol):
    """Answers questions."""

    async def answer(self, question: str, viewer: Viewer) -> Answered:
        """Return the answer to a viewer's question, or its refusal."""
        ...


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes need."""

    database: Database
    admission: Admission
    answerer: Answerer
    reads_per_minute: int
    questions_per_minute: int

    def reader(self) -> Any:
        """Return the dependency that yields the caller of a read."""
        return self._caller(self.reads_per_minute, "read")

    def asker(self) -> Any:
        """Return the dependency that yields the caller of a question."""
        return self._caller(self.questions_per_minute, "chat")

    def _caller(self, per_minute: int, limit: str) -> Any:
        return Depends(self.admission.require(Access(SCOPE, per_minute, limit=limit)))
