"""A system that stays up and measures one window for each line it reads: `bench against` runs two.

The program of the present revision runs in the checkout of the other one, so it uses only names
that both have: 75c4bc5 is the oldest.
"""

import json
import sys

from bench.measuring import Measured
from bench.report import cpu_us
from bench.running import _left_after_sending, open_for_all, run_one
from bench.scenarios import Scenario
from bench.system import started


def main() -> None:
    """Read a window as JSON from standard input, write its figures as JSON, until the end."""
    with started(int(sys.argv[1]), _tell) as system:
        customers = open_for_all(system)
        _write({"ready": True})
        for line in sys.stdin:
            found = run_one(system, Scenario(**json.loads(line)), customers)
            # The other system's window must not share the machine with these messages.
            _left_after_sending(system)
            _write(_figures(found))


def _figures(found: Measured) -> dict[str, object]:
    """Return payments a second, CPU µs a payment, response times in ms, and what is wrong."""
    answers = found.answers["order"]
    return {
        "rate": found.rate,
        "cpu_us": cpu_us(found),
        "p50_ms": answers.p50,
        "p99_ms": answers.p99,
        "faults": [str(fault) for fault in found.faults],
    }


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
