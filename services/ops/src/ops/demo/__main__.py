"""Plays the scenarios against the running system: `make demo`. Leaves it running."""

import os
import sys
import time

from ops.addresses import find_addresses
from ops.command.session import OFFSET_VARIABLE
from ops.demo.following import follow, show_balances, show_log, show_messages
from ops.demo.requests import Run, play, prepare
from ops.demo.scenarios import SCENARIOS, SHOWN, Cast
from ops.demo.screen import Screen
from ops.errors import NotAskedError, OpsError
from ops.system import System
from service_runtime.clock import SystemClock

_RUN_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
_RUN_LENGTH = 5


def main() -> int:
    """Play everything; return 0 where all was as expected, 1 where not, 2 where nobody answers."""
    try:
        with System(find_addresses(os.environ, _offset())) as system:
            return _play(system)
    except OpsError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _offset() -> int:
    text = os.environ.get(OFFSET_VARIABLE, "0")
    if not text.isdecimal():
        raise NotAskedError(f"{OFFSET_VARIABLE}: must be a number, as given to the stack")
    return int(text)


def _play(system: System) -> int:
    started = time.monotonic()
    cast = Cast(SystemClock().text(_RUN_ALPHABET, _RUN_LENGTH))
    run = Run(system, Screen(), cast)
    run.screen.part(f"Payments, by POST {system.addresses.url('gateway')}/payment/confirm")
    prepare(run, SCENARIOS)
    for scenario in SCENARIOS:
        play(run, scenario)
    follow(run, SCENARIOS)
    show_messages(run, SCENARIOS)
    show_balances(run, SCENARIOS)
    show_log(run, SHOWN)
    _show_where(run)
    run.screen.end(run.faults, time.monotonic() - started)
    return 1 if run.faults else 0


def _show_where(run: Run) -> None:
    """Print where to look, and what to type."""
    run.screen.part("Where to look")
    urls = run.system.addresses.urls
    pages = [
        ("the API, to try out", "gateway", "/docs"),
        ("SMS that were sent", "twilio", "/messages"),
        ("e-mails that were sent", "sendgrid", "/messages"),
        ("what the banks booked", "partner_bank", f"/statement?date={SystemClock().now().date()}"),
        ("invariants, as metrics", "ops", "/metrics"),
    ]
    rows = [(title, urls[name] + path) for title, name, path in pages if name in urls]
    shown = run.cast.transaction(SHOWN)
    commands = [
        ("all about a payment", f".venv/bin/countersign show {shown}"),
        ("the invariants", ".venv/bin/countersign check"),
        ("one more payment", ".venv/bin/countersign pay --help"),
        ("processes, logs, end", "make status, make logs S=confirm, make down"),
    ]
    run.screen.table("", ("", ""), rows + commands)


if __name__ == "__main__":
    sys.exit(main())
