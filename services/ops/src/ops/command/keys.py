"""`countersign keys`: list the key rings, rotate and retire keys, while the system runs."""

from pathlib import Path
from typing import Annotated

import typer

from ops.clients import key_files
from ops.clients.key_files import Ring
from ops.command.output import AsJson, console, print_json, table_of
from ops.command.session import open_system
from service_runtime.clock import SystemClock

LIST_HELP = """List the key rings: of each the current key, and the others that are accepted.

Keys of MACs, seals, tags and encrypted requests, the credentials between services
(internal-credential-*) and those at partner banks (partner-credentials/*). They are shown by their
ids, and stored in the services' secrets folder (SECRETS_FOLDER).

\b
Examples:
  countersign keys list
  countersign keys list --json | jq '.rings[] | select(.accepted != [])'

\b
Exit codes: 0 shown; 2 the folder is unknown or unreadable."""

ROTATE_HELP = """Add a new key, which is used from now on; the others are still accepted.

All readers of this file see it within a second. Where each machine has a file of its own, first
add the same key to all files as accepted only, then use it: `--accept-only`, then `keys use`. A
partner bank must accept its new credential before it is used. An internal credential is used at
once; copy the file internal-credentials to the other machines first. Partner banks
fetch the public keys of partner-signing; use its new key ten minutes after it was accepted, so that
they have it. Clients encrypt under the first key of e2e-ec and e2e-rsa; the one before opens
requests for 24 hours more.

\b
Examples:
  countersign keys rotate mac-confirm-risk
  countersign keys rotate otp-sealing-key --accept-only
  countersign keys rotate partner-signing --accept-only
  countersign keys rotate internal-credential-otp
  countersign keys rotate partner-credentials/first-bank --accept-only
  countersign keys rotate e2e-ec

\b
Exit codes: 0 rotated; 1 unknown ring; 2 the folder is unknown or not writable."""

USE_HELP = """Make an accepted key the current one.

\b
Example:
  countersign keys use mac-confirm-risk 0a1b2c3d"""

RETIRE_HELP = """Remove a key: what was sealed or signed under it is refused from now on.

Refused for the current key, and for an hour after the ring's last change (partner-signing: 30
days, e2e-ec and e2e-rsa: 25 hours, credentials: a minute), because records under the key may be
unread; --at-once, for a stolen key, does not wait. Dead letters that were signed under the key can
no longer be redriven.

\b
Examples:
  countersign keys retire mac-confirm-risk 0a1b2c3d
  countersign keys retire mac-confirm-risk 0a1b2c3d --at-once

\b
Exit codes: 0 retired; 1 refused; 2 the folder is unknown or not writable."""

app = typer.Typer(
    help="Rotate keys of MACs, seals, tags, signatures and encrypted requests, and credentials.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="RING", help="The ring's name, as listed.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as listed.")]


@app.command("list", help=LIST_HELP)
def list_rings(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the rings."""
    rings = key_files.rings_of(open_system(context).addresses.key_files())
    if as_json:
        print_json({"rings": [_plain(ring) for ring in rings]})
        return
    rows = [
        (ring.name, ring.ids[0], " ".join(ring.ids[1:]) or None, f"{ring.changed_at:%F %T}")
        for ring in rings
    ]
    console().print(table_of("", ("ring", "current", "accepted", "changed (UTC)"), rows))


@app.command("rotate", help=ROTATE_HELP)
def rotate(
    context: typer.Context,
    name: Name,
    *,
    accept_only: Annotated[
        bool, typer.Option("--accept-only", help="Add the key as accepted, without using it.")
    ] = False,
    public: Annotated[
        Path | None,
        typer.Option(
            help="PEM of the public key, where a token or Vault has the private one.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a new key."""
    pem = None if public is None else public.read_text(encoding="utf-8")
    ring = key_files.add(_ring(context, name), accept_only=accept_only, public=pem)
    _print(ring, as_json=as_json)


@app.command("use", help=USE_HELP)
def use(context: typer.Context, name: Name, key: KeyId, *, as_json: AsJson = False) -> None:
    """Make a key the current one."""
    _print(key_files.use(_ring(context, name), key), as_json=as_json)


@app.command("retire", help=RETIRE_HELP)
def retire(
    context: typer.Context,
    name: Name,
    key: KeyId,
    *,
    at_once: Annotated[bool, typer.Option("--at-once", help="Do not wait.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a key."""
    ring = key_files.retire(_ring(context, name), key, SystemClock().now(), at_once=at_once)
    _print(ring, as_json=as_json)


def _ring(context: typer.Context, name: str) -> Ring:
    return key_files.ring_of(open_system(context).addresses.key_files(), name)


def _print(ring: Ring, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(ring))
        return
    current, *accepted = ring.ids
    print(f"{ring.name}: current {current}, accepted {', '.join(accepted) or 'no other'}")


def _plain(ring: Ring) -> dict[str, object]:
    current, *accepted = ring.ids
    changed_at = ring.changed_at.isoformat()
    return {
        "name": ring.name,
        "current": current,
        "accepted": accepted,
        "changed_at": changed_at,
    }
