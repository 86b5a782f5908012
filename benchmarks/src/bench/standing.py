"""A system that stays up and measures one window for each line it reads: `bench against` runs two.

The program of the present revision runs in the checkout of the other one, so it uses only names
that both have: 75c4bc5 is the oldest.
"""

import json
import os
import signal
import sys

from bench import running
from bench.measuring import Measured
from bench.report import cpu_us
from bench.scenarios import Scenario
from bench.system import System, started
from local_stack.inventory import INFRASTRUCTURE

# 75c4bc5 has the second name.
send_messages = getattr(running, "send_messages", None) or running._left_after_sending  # type: ignore[attr-defined]  # noqa: SLF001


def main() -> None:
    """Measure the window of each line of standard input, `stop` and `continue` the services.

    Each line is JSON and gets one line of JSON.
    """
    with started(int(sys.argv[1]), _tell) as system:
        customers = running.open_for_all(system)
        _write({"ready": True})
        for line in sys.stdin:
            match json.loads(line):
                case "stop":
                    # The other system's window must not share the machine with these messages.
                    send_messages(system)
                    _signal(system, signal.SIGSTOP)
                    _write({"ready": True})
                case "continue":
                    _signal(system, signal.SIGCONT)
                    _write({"ready": True})
                case window:
                    found = running.run_one(system, Scenario(**window), customers)
                    _write(_figures(found))
        _signal(system, signal.SIGCONT)


def _signal(system: System, what: signal.Signals) -> None:
    """Send a signal to services and mocks. Idle, broker and database need next to no CPU."""
    for name, pid in system.roots.items():
        if name not in INFRASTRUCTURE:
            os.kill(pid, what)


def _figures(found: Measured) -> dict[str, object]:
    """Return payments a second, CPU µs a payment, response times in ms, and what is wrong."""
    answers = found.answers["order"]
    return {
        "rate": found.rate,
        "cpu_us": cpu_us(found),
        "p50_ms": answers.p50,
        "p99_ms": answers.p99,
        "settled_p99_ms": found.settled.p99,
        "payments": found.payments,
        "rest_s": found.rest_s,
        "processes": found.cpu_us,
        "faults": [str(fault) for fault in found.faults if not fault.is_slowness],
    }


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
