"""`countersign check`: verifies the invariants on the running system."""

from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from ops.check.conservation import Conservation
from ops.check.examination import Examination, Limits
from ops.check.replays import Replays
from ops.check.sources import Sources
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.command.watching import View, Watch, show_view
from ops.domain.errors import REFUSED, UNAVAILABLE
from ops.domain.findings import NAMES_OF_FULL, Findings
from service_runtime.clock import SystemClock

HELP = """Verify the invariants on the running system, and print the violations.

Queries every service for its own findings. Then compares all payments, settlement instructions,
timelines of the audit log and the banks' statements. A mismatch is checked again for --grace
seconds, because events take time between services. Checks the newest records of the topics; with
--full all records and all replies.

\b
Examples:
  countersign check
  countersign check --full --grace 60
  countersign check --grace 60 --unfinished-after 120
  countersign check --watch
  countersign check --json | jq .violations

\b
With --watch it repeats the check 10 s after each result, until Ctrl-C.

\b
Exit codes: 0 no violation; 1 violations; 2 no violation found, but a service did not respond."""


REPEAT_AFTER_S = 10.0


def check(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    grace: Annotated[float, typer.Option(min=0, help="Seconds until a mismatch counts.")] = 10,
    unfinished_after: Annotated[
        float, typer.Option(min=0, help="Seconds until unfinished work counts.")
    ] = 60,
    days: Annotated[
        int, typer.Option(min=1, max=366, help="Days of statements to compare, today included.")
    ] = 7,
    full: Annotated[
        bool,
        typer.Option("--full", help="Also wait until all topics are consumed."),
    ] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Check the invariants."""
    system, clock = open_system(context), SystemClock()
    conservation = Conservation(system)

    def fetch() -> View:
        examination = Examination(Sources(system), clock, Limits(unfinished_after, grace, days))
        findings = examination.whole()
        if full:
            examination.run_part(partial(conservation.whole, grace_s=grace))
            examination.run_part(Replays(system).whole)
        else:
            examination.run_part(conservation.handled)
        return View(partial(_show, findings, as_json=as_json), exit_code_of(findings))

    show_view(fetch, repeat_after_s=REPEAT_AFTER_S if watch else None)


def _show(findings: Findings, *, as_json: bool) -> None:
    if as_json:
        print_json(findings.as_dict())
    else:
        show_findings(console(), findings)


def exit_code_of(findings: Findings) -> int:
    """Return 1 for violations, 2 for a missing response, else 0."""
    if not findings.is_clean:
        return REFUSED
    return UNAVAILABLE if findings.missing else 0


def show_findings(screen: Console, findings: Findings) -> None:
    """Print a table of the invariants, then each violation."""
    rows = (
        (
            name,
            NAMES_OF_FULL.get(name, "reported by its service"),
            findings.checked[name] or None,
            count,
        )
        for name in findings.invariants()
        for count in (findings.counts[name],)
    )
    screen.print(table_of("", ("invariant", "", "checked", "violations"), rows))
    if findings.violations:
        lines = ((one.invariant, one.about, one.details) for one in findings.violations)
        screen.print()
        screen.print(table_of("Violations", ("invariant", "about", "details"), lines))
        screen.print("\nnext: `countersign show` of a payment; docs/runbooks/InvariantViolated.md")
    screen.print(
        f"\n{findings.payments} payments, {findings.dead_letters} dead letters,"
        f" {findings.parked} parked, {findings.in_motion} in motion,"
        f" {findings.explained} breaks resolved by people"
    )
    for sentence in findings.notes:
        screen.print(cell(sentence))
    for sentence in findings.missing:
        screen.print(f"[yellow]not checked:[/] {cell(sentence)}")
