"""Runs the scenarios of `make demo` on the running system."""

import os
import sys
import time
from contextlib import closing

from ops.clients.addresses import find_addresses
from ops.clients.pages import pages_of, responds
from ops.clients.sessions import DEVELOPMENT_OPERATORS, session_of
from ops.clients.system import System
from ops.command.session import OFFSET_VARIABLE, OPERATOR_VARIABLE
from ops.demo.following import follow, show_balances, show_log, show_messages
from ops.demo.requests import Run, play, prepare
from ops.demo.scenarios import SCENARIOS, SCREENED, SHOWN, Cast
from ops.demo.screen import Screen
from ops.domain.errors import OpsError, UnavailableError
from service_runtime.clock import SystemClock

_RUN_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
_RUN_LENGTH = 5
SCREENING = "screening"


def main() -> int:
    """Run all scenarios; return 0 as expected, 1 otherwise, 2 without a response."""
    try:
        addresses = find_addresses(os.environ, _offset())
        operator = os.environ.get(OPERATOR_VARIABLE) or DEVELOPMENT_OPERATORS[0]
        with (
            closing(session_of(addresses, operator)) as session,
            System(addresses, bearer=session.token) as system,
        ):
            return _play(system)
    except OpsError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _offset() -> int:
    text = os.environ.get(OFFSET_VARIABLE, "0")
    if not text.isdecimal():
        what = f"{OFFSET_VARIABLE}: must be a number, the offset of the stack"
        raise UnavailableError(what, f"unset {OFFSET_VARIABLE}")
    return int(text)


def _play(system: System) -> int:
    started = time.monotonic()
    cast = Cast(SystemClock().text(_RUN_ALPHABET, _RUN_LENGTH))
    run = Run(system, Screen(), cast)
    run.screen.part(f"Payments, by POST {system.addresses.url('gateway')}/payment/confirm")
    scenarios = SCENARIOS + (SCREENED if SCREENING in system.addresses.urls else ())
    prepare(run, scenarios)
    # A scenario with a fault is not followed: its messages and balances are unknown.
    played = [scenario for scenario in scenarios if play(run, scenario)]
    follow(run, played)
    show_messages(run, played)
    show_balances(run, played)
    if SHOWN in played:
        show_log(run, SHOWN)
    show_where(run)
    run.screen.end(run.faults, time.monotonic() - started)
    return 1 if run.faults else 0


def show_where(run: Run) -> None:
    """Print the addresses and commands to explore the system."""
    run.screen.part("Where to look")
    pages = pages_of(run.system.addresses, SystemClock().now().date())
    rows = [(page.title, page.url) for page in pages if responds(page)]
    if run.system.addresses.sign_in:
        rows.append(("to change dashboards", run.system.addresses.sign_in))
    show = ".venv/bin/countersign --as alice show"
    commands = [("all data of a payment", f"{show} {run.cast.transaction(SHOWN)}")]
    if SCREENING in run.system.addresses.urls:
        hit = run.cast.transaction(SCREENED[0])
        commands.append(("which entry of which list a payee was", f"{show} {hit}"))
    commands += [
        ("these addresses", ".venv/bin/countersign open"),
        ("the invariants", ".venv/bin/countersign --as alice check"),
        ("one more payment", ".venv/bin/countersign pay --help"),
        ("processes, logs, end", "make status, make logs S=confirm, make down"),
    ]
    run.screen.table("", ("", ""), rows + commands)


if __name__ == "__main__":
    sys.exit(main())
