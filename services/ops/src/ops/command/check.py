"""`countersign check`: the invariants, held against the running system."""

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
from ops.command.watching import Look, Watch, look
from ops.domain.errors import NOT_ASKED, REFUSED
from ops.domain.findings import NAMES_OF_FULL, Findings
from service_runtime.clock import SystemClock

HELP = """Hold the running system against its invariants, and print what is wrong.

Asks every owner for its own findings; then reads all payments, settlement instructions, timelines
of the audit log and the banks' statements side by side and compares them. What does not fit is
looked at again for --grace seconds, because services tell one another with a delay. Of the topics
the newest records are accounted for; with --full all that they hold, and all answers in them.

\b
Examples:
  countersign check
  countersign check --full --grace 60
  countersign check --grace 60 --unfinished-after 120
  countersign check --watch
  countersign check --json | jq .violations

\b
With --watch it checks again, 10 s after it has done so, until Ctrl-C.

\b
Exit codes: 0 nothing is wrong; 1 something is; 2 nothing was found wrong, but somebody could not
be asked."""


AGAIN_AFTER_S = 10.0


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
    full: Annotated[bool, typer.Option("--full", help="Read the topics and inboxes, too.")] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Check the invariants."""
    system, clock = open_system(context), SystemClock()
    conservation = Conservation(system, clock)

    def ask() -> Look:
        examination = Examination(Sources(system), clock, Limits(unfinished_after, grace, days))
        findings = examination.whole()
        if full:
            examination.look(partial(conservation.whole, grace_s=grace))
            examination.look(Replays(system).whole)
        else:
            examination.look(conservation.newest)
        return Look(partial(_show, findings, as_json=as_json), exit_code_of(findings))

    look(ask, again_after_s=AGAIN_AFTER_S if watch else None)


def _show(findings: Findings, *, as_json: bool) -> None:
    if as_json:
        print_json(findings.as_dict())
    else:
        show_findings(console(), findings)


def exit_code_of(findings: Findings) -> int:
    """Return 1 for violations, 2 where somebody could not be asked, else 0."""
    if not findings.is_clean:
        return REFUSED
    return NOT_ASKED if findings.missing else 0


def show_findings(screen: Console, findings: Findings) -> None:
    """Print a table of the invariants, then each violation."""
    rows = (
        (
            name,
            NAMES_OF_FULL.get(name, "as its owner reports"),
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
        f" {findings.explained} breaks that people have resolved"
    )
    for sentence in findings.notes:
        screen.print(cell(sentence))
    for sentence in findings.missing:
        screen.print(f"[yellow]not asked:[/] {cell(sentence)}")
