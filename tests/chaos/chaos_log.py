"""The log of a run: each client operation and each fault as a line of JSON."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Result = Literal["ok", "fail", "unknown"]


@dataclass(frozen=True)
class Operation:
    """One request with its outcome: ok, fail or unknown."""

    transaction_id: str
    sent: str
    """Kind of request: `payment`, `code`, `other amount`."""
    result: Result
    status: int
    """HTTP status; 0 without a response."""
    body: str
    retry_after: str = ""
    """From the response's headers."""


def result_of(status: int) -> Result:
    """Classify a response. 202, 409 and a missing response are unknown."""
    if status in {0, 202, 409}:
        return "unknown"
    return "ok" if status == 200 else "fail"


class Log:
    """The log of the run, in memory for the checker and in files for people."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._operations = (folder / "operations.jsonl").open("w", buffering=1)
        self._faults = (folder / "faults.jsonl").open("w", buffering=1)
        self._began_s = time.monotonic()
        self.operations: list[Operation] = []

    def operation(self, operation: Operation) -> None:
        """Log a client operation."""
        self.operations.append(operation)
        self._write(self._operations, asdict(operation))

    def fault(self, kind: str, **about: Any) -> None:
        """Log a fault."""
        self._write(self._faults, {"fault": kind, **about})

    def close(self) -> None:
        """Close the files."""
        self._operations.close()
        self._faults.close()

    def _write(self, file: Any, line: dict[str, Any]) -> None:
        file.write(json.dumps({"at_s": round(time.monotonic() - self._began_s, 3), **line}) + "\n")
