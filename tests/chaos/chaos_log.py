"""What happened, as it happened: each client's operation and each fault, a line of JSON each."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Result = Literal["ok", "fail", "unknown"]


@dataclass(frozen=True)
class Operation:
    """One request as its client saw it: ok was done, fail was not, unknown may have been."""

    transaction_id: str
    sent: str
    """What was asked for: `payment`, `code`, `other amount`."""
    result: Result
    status: int
    """Of HTTP; 0 where no answer came."""
    body: str
    retry_after: str = ""
    """Of the answer's headers."""


def result_of(status: int) -> Result:
    """Classify an answer. 202, 409 and silence leave open whether the request was, or will be."""
    if status in {0, 202, 409}:
        return "unknown"
    return "ok" if status == 200 else "fail"


class Log:
    """The run's own record, in memory for the checker and in files for people."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._operations = (folder / "operations.jsonl").open("w", buffering=1)
        self._faults = (folder / "faults.jsonl").open("w", buffering=1)
        self._began_s = time.monotonic()
        self.operations: list[Operation] = []

    def operation(self, operation: Operation) -> None:
        """Keep what a client saw."""
        self.operations.append(operation)
        self._write(self._operations, asdict(operation))

    def fault(self, kind: str, **about: Any) -> None:
        """Keep what was done to the system."""
        self._write(self._faults, {"fault": kind, **about})

    def close(self) -> None:
        """Close the files."""
        self._operations.close()
        self._faults.close()

    def _write(self, file: Any, line: dict[str, Any]) -> None:
        file.write(json.dumps({"at_s": round(time.monotonic() - self._began_s, 3), **line}) + "\n")
