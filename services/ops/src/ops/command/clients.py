"""`countersign clients`: machines and applications that get tokens at identity."""

from typing import Annotated, Any

import typer

from ops.clients.grants import grants_of
from ops.clients.listings import CLIENTS
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system

LIST_HELP = """List the clients of identity, without their secrets.

\b
Examples:
  countersign clients list
  countersign clients list --json | jq '.clients[] | select(.kind == "operator")'

\b
Exit codes: 0 listed; 2 identity did not respond."""

ADD_HELP = """Propose to add a client, or to replace one; another person approves.

A machine has a secret, and sends it for a token. An application signs people in: with --redirect
by an authorization code (and PKCE), with --device by a code that the person enters elsewhere. An
application that runs at its users has no secret. Secrets are made by the owner of the client; give
the SHA-256 of one as --secret-sha256, twice during a rotation.

\b
Examples:
  countersign clients add acme-shop --scope payment.confirm --secret-sha256 "$(printf %s "$secret" |
    sha256sum | cut -d' ' -f1)"
  countersign clients add acme-app --name 'Acme' --scope payment.confirm \\
    --redirect https://app.acme.example/signed-in

\b
Exit codes: 0 proposed; 1 refused; 2 wrong usage, or identity did not respond."""

DISABLE_HELP = """Stop a client at once: it gets no more tokens.

\b
Examples:
  countersign clients disable acme-shop

\b
Exit codes: 0 disabled; 1 refused; 2 unknown, or identity did not respond."""

ENABLE_HELP = """Let a disabled client go on.

\b
Examples:
  countersign clients enable acme-shop

\b
Exit codes: 0 enabled; 1 refused; 2 unknown, or identity did not respond."""

_LISTED = ("client_id", "name", "kind", "grants", "scopes", "redirect_uris", "disabledAt")

app = typer.Typer(
    help="Look after the clients of identity.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id.")]
Addresses = Annotated[
    list[str] | None, typer.Option("--redirect", help="Where a browser returns to, exactly.")
]
SignOuts = Annotated[
    list[str] | None, typer.Option("--sign-out", help="Where a browser returns to afterwards.")
]
Hashes = Annotated[
    list[str] | None, typer.Option("--secret-sha256", help="SHA-256 of a secret, as hex.")
]


@app.command("list", help=LIST_HELP)
def list_clients(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List clients."""
    found = open_system(context).all_rows(CLIENTS)
    if as_json:
        print_json({"clients": found})
        return
    rows = ([_plain(one[name]) for name in _LISTED] for one in found)
    console().print(table_of("", _LISTED, rows))


@app.command("add", help=ADD_HELP)
def add(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    client_id: Name,
    *,
    scopes: Annotated[list[str], typer.Option("--scope", help="What it may be given.")],
    name: Annotated[str, typer.Option(help="How a person knows it.")] = "",
    secrets: Hashes = None,
    redirects: Addresses = None,
    sign_outs: SignOuts = None,
    is_device: Annotated[bool, typer.Option("--device", help="It has no browser.")] = False,
    for_operators: Annotated[
        bool, typer.Option("--for-operators", help="People sign in as operators.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Propose a client."""
    body = {
        "client_id": client_id,
        "name": name,
        "kind": "operator" if for_operators else "customer",
        "scopes": scopes,
        "secrets_sha256": secrets or [],
        "grants": grants_of(has_redirect=bool(redirects), is_device=is_device),
        "redirect_uris": redirects or [],
        "sign_out_uris": sign_outs or [],
    }
    proposed = open_system(context).post(CLIENTS.owner, CLIENTS.path, body)
    if as_json:
        print_json(proposed)
    else:
        show_proposed(proposed)


@app.command("disable", help=DISABLE_HELP)
def disable(context: typer.Context, client_id: Name, *, as_json: AsJson = False) -> None:
    """Disable a client."""
    _set(context, client_id, "disable", as_json=as_json)


@app.command("enable", help=ENABLE_HELP)
def enable(context: typer.Context, client_id: Name, *, as_json: AsJson = False) -> None:
    """Enable a client."""
    _set(context, client_id, "enable", as_json=as_json)


def _set(context: typer.Context, client_id: str, act: str, *, as_json: bool) -> None:
    done = open_system(context).post(CLIENTS.owner, f"{CLIENTS.path}/{client_id}/{act}", {})
    if as_json:
        print_json(done)
    else:
        console().print(cell(f"{client_id} is {act}d"))


def _plain(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
