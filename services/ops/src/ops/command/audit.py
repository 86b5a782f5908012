"""`countersign audit`: verifies the audit log by its checkpoints, and proves single entries."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from ops.check.audit_log import AuditVerification, Progress
from ops.check.proofs import Proofs
from ops.clients.addresses import Addresses
from ops.clients.audit_rows import AuditRows
from ops.clients.checkpoints import CheckpointFolder, pinned_keys
from ops.command.output import AsJson, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.errors import REFUSED, RefusedError, UnavailableError
from ops.domain.tampering import Verification

VARIABLE = "AUDIT_CHECKPOINTS"
VERIFY_HELP = """Verify that the audit log is as it was sealed, and name what differs.

Reads every row, recomputes the roots of the trees, and compares them with the signed checkpoints.
Names each row that was changed, inserted, removed, reordered or cut off. Memory does not grow with
the log.

\b
--store is the folder of the checkpoints: by default that of the running stack, or
AUDIT_CHECKPOINTS. Copy a bucket into a folder first. --keys pins the keys: lines of a key's id and
its 32 bytes as hex, as they were noted when the key was made (docs/audit-proof.md). Without it, the
keys in the store are accepted, and their ids are printed.

\b
Examples:
  countersign audit verify
  countersign audit verify --store /mnt/checkpoints --keys audit-keys --json

\b
Exit codes: 0 as it was sealed; 1 something differs; 2 a service or the store did not respond."""

PROVE_HELP = """Print a proof that the audit log has an event, as JSON.

EVENT is the event's id, as in `countersign show TX --json`. Whoever has the public key checks the
proof without access to the system: docs/audit-proof.md has a program of 20 lines.

\b
Example:
  countersign audit prove 0190f1a2-7c3d-4e5f-8a9b-0c1d2e3f4a5b > proof.json

\b
Exit codes: 0 printed; 1 no such event, or no checkpoint seals it as it is; 2 no response."""

app = typer.Typer(
    help="Verify the audit log, and prove what it has.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Store = Annotated[
    str, typer.Option("--store", envvar=VARIABLE, help="The folder of the checkpoints.")
]
Keys = Annotated[
    Path | None, typer.Option("--keys", help="A file of the public keys that are accepted.")
]


@app.command("verify", help=VERIFY_HELP)
def verify(
    context: typer.Context, *, store: Store = "", keys: Keys = None, as_json: AsJson = False
) -> None:
    """Verify the log."""
    system = open_system(context)
    folder = _folder(system.addresses, store, keys)
    rows = AuditRows(system)
    state = rows.state()
    verification = AuditVerification(rows, folder, _progress())
    found = verification.whole(state["number"], state["history_last_id"])
    if as_json:
        print_json(found.as_dict())
    else:
        show(console(), found)
    if found.count:
        raise typer.Exit(REFUSED)


@app.command("prove", help=PROVE_HELP)
def prove(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    event: Annotated[UUID, typer.Argument(metavar="EVENT", help="The event's id.")],
    *,
    topic: Annotated[str, typer.Option(help="Of an id under several topics, this one.")] = "",
    store: Store = "",
    keys: Keys = None,
    as_json: AsJson = True,  # noqa: ARG001 - a proof is JSON; every command takes the option
) -> None:
    """Print a proof."""
    system = open_system(context)
    proofs = Proofs(_folder(system.addresses, store, keys))
    rows = [one for one in AuditRows(system).rows_of(event) if topic in ("", one[1].topic)]
    if not rows:
        raise RefusedError(f"the audit log has no event {event}", "countersign show TX --json")
    _, row, recorded_at = rows[0]
    try:
        proof = proofs.of(row, recorded_at)
    except ValueError as error:
        raise UnavailableError(f"a checkpoint {error}", "countersign audit verify") from None
    if proof is None:
        raise RefusedError(
            f"no checkpoint seals event {event} as it is: it is younger than a minute, or it was"
            " changed",
            "countersign audit verify",
        )
    print_json(proof)


def show(screen: Console, found: Verification) -> None:
    """Print the outcome, and each finding."""
    if found.findings:
        columns = ("what", "row", "topic", "partition", "offset", "details")
        lines: list[tuple[Any, ...]] = [
            (one.kind, one.row_id, one.topic, one.partition, one.offset, one.details)
            for one in found.findings
        ]
        screen.print(table_of("Not as it was sealed", columns, lines))
        if found.count > len(lines):
            screen.print(f"and {found.count - len(lines)} more")
        screen.print("\nnext: docs/runbooks/AuditTampered.md")
    at = f"{found.last_at:%F %T} UTC" if found.last_at else "never"
    screen.print(
        f"\n{found.rows} rows, {found.checkpoints} checkpoints, the last one {at}, under the keys"
        f" {', '.join(sorted(found.keys)) or '-'}; {found.count} findings"
    )
    screen.print(
        f"{found.unsealed} rows are not sealed yet"
        + (f", and {found.history_left} of before the log had trees" if found.history_left else "")
    )


def _folder(addresses: Addresses, store: str, keys: Path | None) -> CheckpointFolder:
    path = store or addresses.environments().get("audit", {}).get("OBJECT_FOLDER", "")
    if not path:
        what = f"the folder of the checkpoints is unknown: --store, or {VARIABLE}"
        raise UnavailableError(what, "countersign audit verify --help")
    return CheckpointFolder(Path(path), pinned_keys(keys) if keys else None)


def _progress() -> Progress:
    """Report on the standard error, where it is a terminal once a second."""
    started = last = time.monotonic()

    def report(rows: int, of_all: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < (1 if sys.stderr.isatty() else 10):
            return
        last = now
        share = min(100, 100 * rows // max(of_all, 1))
        sys.stderr.write(
            f"{rows} rows, {share} %, {rows / (now - started):.0f} a second{os.linesep}"
        )

    return report
