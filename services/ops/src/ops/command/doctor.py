"""`countersign doctor`: compare a running or a configured system with the rules of production."""

from pathlib import Path
from typing import Annotated

import typer

from ops.clients.inspecting import Inspected, configured, inspect
from ops.command.output import AsJson, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.errors import UnavailableError
from service_runtime.clock import SystemClock

HELP = """Compare the system with the rules of production, and say what to do.

Of the running system: each service is ready; Kafka, PostgreSQL and Redis refuse whom they should;
the rights on Kafka are those of the manifests; no key is older than 90 days; processes with
PROFILE=prod are configured as production demands. With --environment: only a file of NAME=value
lines, judged as production, before anything is started.

\b
Examples:
  countersign doctor
  countersign doctor --environment gateway.env
  countersign doctor --json | jq '.faults'

\b
Exit codes: 0 no fault; 1 faults; 2 the system is unknown, or a file is unreadable."""


def doctor(
    context: typer.Context,
    environment: Annotated[
        Path | None, typer.Option(help="Judge this file of NAME=value lines.", metavar="FILE")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print every rule and its fault."""
    if environment:
        found = list(configured(environment.name, _read(environment)))
    else:
        found = inspect(open_system(context), SystemClock().now())
    faults = [one for one in found if one.fault]
    if as_json:
        print_json({"checked": len(found), "faults": [_plain(one) for one in faults]})
    else:
        rows = [(one.about, one.fault or "ok") for one in found]
        console().print(table_of("", ("rule", "found"), rows))
        print(f"\n{len(found)} rules, {len(faults)} faults")
    if faults:
        raise typer.Exit(1)


def _plain(one: Inspected) -> dict[str, str | None]:
    return {"rule": one.about, "fault": one.fault}


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UnavailableError(f"{file}: {error.strerror}", f"ls -l {file}") from None
    pairs = [line.partition("=") for line in lines if line.strip() and not line.startswith("#")]
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
