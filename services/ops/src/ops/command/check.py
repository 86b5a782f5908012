"""`countersign check`: the invariants, held against the running system."""

from typing import Annotated

import typer
from rich.console import Console

from ops.check.examination import Examination, Limits
from ops.check.findings import NAMES, Findings
from ops.check.sources import Sources
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.errors import NOT_ASKED, REFUSED
from service_runtime.clock import SystemClock

HELP = """Hold the running system against its invariants, and print what is wrong.

Asks every owner for its own findings; then reads all payments, settlement instructions, timelines
of the audit log and the banks' statements side by side and compares them. What does not fit is
looked at again for --grace seconds, because services tell one another with a delay.

\b
Examples:
  countersign check
  countersign check --grace 60 --unfinished-after 120
  countersign check --json | jq .violations

\b
Exit codes: 0 nothing is wrong; 1 something is; 2 nothing was found wrong, but somebody could not
be asked."""


def check(
    context: typer.Context,
    *,
    grace: Annotated[float, typer.Option(min=0, help="Seconds until a mismatch counts.")] = 10,
    unfinished_after: Annotated[
        float, typer.Option(min=0, help="Seconds until unfinished work counts.")
    ] = 60,
    days: Annotated[
        int, typer.Option(min=1, max=366, help="Days of statements to compare, today included.")
    ] = 7,
    as_json: AsJson = False,
) -> None:
    """Check the invariants."""
    sources = Sources(open_system(context))
    limits = Limits(unfinished_after, grace, days)
    findings = Examination(sources, SystemClock(), limits).whole()
    if as_json:
        print_json(findings.as_dict())
    else:
        show_findings(console(), findings)
    raise typer.Exit(exit_code_of(findings))


def exit_code_of(findings: Findings) -> int:
    """Return 1 for violations, 2 where somebody could not be asked, else 0."""
    if not findings.is_clean:
        return REFUSED
    return NOT_ASKED if findings.missing else 0


def show_findings(screen: Console, findings: Findings) -> None:
    """Print a table of the invariants, then each violation."""
    rows = (
        (name, NAMES.get(name, "as its owner reports"), findings.checked[name] or None, count)
        for name in findings.invariants()
        for count in (findings.counts[name],)
    )
    screen.print(table_of("", ("invariant", "", "checked", "violations"), rows))
    if findings.violations:
        lines = ((one.invariant, one.about, one.details) for one in findings.violations)
        screen.print()
        screen.print(table_of("Violations", ("invariant", "about", "details"), lines))
    screen.print(
        f"\n{findings.payments} payments, {findings.dead_letters} dead letters,"
        f" {findings.parked} parked, {findings.in_motion} in motion"
    )
    for sentence in findings.missing:
        screen.print(f"[yellow]not asked:[/] {cell(sentence)}")
