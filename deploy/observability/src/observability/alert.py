"""One alert, and where its runbook is."""

from dataclasses import dataclass
from typing import Literal

from local_stack.inventory import load_inventory

RUNBOOKS = f"http://localhost:{load_inventory().service('ops').port}/runbooks"
"""Change this if ops has another address, and generate the rules."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition (PromQL), its duration, severity and text."""

    name: str
    expr: str
    hold: str
    severity: Literal["page", "ticket"]
    summary: str

    @property
    def runbook(self) -> str:
        """The path of the runbook."""
        return f"docs/runbooks/{self.name}.md"

    @property
    def runbook_url(self) -> str:
        """The address at which ops serves the runbook."""
        return f"{RUNBOOKS}/{self.name}"
