"""Bodies of requests about review cases and reports."""

from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from compliance.domain.cases import Kind, Outcome
from compliance.routes.bodies import Body

MOST_CASES = 100
"""Of one report; each has up to 2,000 payments."""
_NO_CONTROLS = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"
NoteText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"),
]
Person = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+$")]


class AssignBody(Body):
    """Who works on a case; without it, whoever asks."""

    assignee: Person | None = None


class NoteBody(Body):
    """A note, or the reason of an act."""

    text: NoteText


class SuspectBody(Body):
    """Whether a suspect is identified, and why."""

    known: bool
    text: NoteText


class CloseBody(Body):
    """How a case is proposed to end, and why."""

    outcome: Outcome
    text: NoteText


class ReportBody(Body):
    """A report to draft: of some cases, or of those that were detected in a period."""

    type: Kind
    case_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_CASES)] | None = Field(
        default=None, alias="caseIds"
    )
    since: date | None = Field(default=None, alias="from")
    until: date | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _names_cases_or_a_period(self) -> Self:
        period = (self.since, self.until)
        if (self.case_ids is None) is (None in period) or (self.case_ids and any(period)):
            raise ValueError("caseIds, or from and to: exactly one of them must be given")
        if self.since and self.until and self.until < self.since:
            raise ValueError("to: must not be before from")
        return self
