"""The table of a run, for the screen and docs/reliability-results.md."""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chaos_run import Outcome

from local_stack import kafka, postgres
from local_stack.layout import CHECKOUT

RESULTS = CHECKOUT / "docs" / "reliability-results.md"


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of a table: fault, strikes, payments, violations."""
    yield "| fault | strikes | payments | seconds | violations | seen |"
    yield "|---|---:|---:|---:|---:|---|"
    for one in outcomes:
        yield (
            f"| {one.fault} | {one.strikes} | {one.payments} | {one.seconds:.0f} "
            f"| {len(one.violations)} | {one.note} |"
        )


def write(outcomes: Sequence[Outcome], seed: int, path: Path = RESULTS) -> None:
    """Write the results of a full run."""
    total = sum(one.payments for one in outcomes)
    seconds = sum(one.seconds for one in outcomes)
    wrong = sum(len(one.violations) for one in outcomes)
    lines = (
        "# What the last full run has shown",
        "",
        "Written by `make chaos-full`; [reliability.md](reliability.md) says what each fault is.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, seed {seed}, commit {_commit()}, {_versions()}:",
        f"{total} payments, {wrong} violations, {seconds / 60:.0f} minutes.",
        "",
        *table(outcomes),
        "",
    )
    path.write_text("\n".join(lines))


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _versions() -> str:
    return (
        f"Python {platform.python_version()}, Kafka {kafka.VERSION}, PostgreSQL {postgres.VERSION},"
        f" {os.cpu_count()} cores"
    )
