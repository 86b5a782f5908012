"""`countersign login`, `whoami` and `logout`: the operator's session."""

import os
import sys
import time
import webbrowser
from datetime import UTC, datetime

import typer

from ops.clients.provider import DeviceCode
from ops.clients.sessions import Signed
from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_session
from payment_schemas.scopes import SCOPES

LOGIN_HELP = """Sign in as an operator, with a browser.

Prints a code and the address of a page; the page may be opened on another device. The command waits
until you have approved the code there. The tokens are kept in a file that only you can read,
~/.local/state/countersign, and refreshed until the issuer ends the session.

In development, `countersign --as alice login` needs no browser; with COUNTERSIGN_AS=alice no login
is needed at all. The operators are alice and bob, who may do everything, and carol, who reads.

\b
Examples:
  countersign login
  countersign --as alice login

\b
Exit codes: 0 signed in; 1 denied, or not approved in time; 2 the issuer did not respond."""

WHOAMI_HELP = """Show who is signed in: identity, scopes and the end of the token.

\b
Examples:
  countersign whoami
  countersign whoami --json | jq .scopes

\b
Exit codes: 0 signed in; 2 nobody is signed in, or the issuer did not respond."""

LOGOUT_HELP = """Sign out: remove the tokens from this machine and end them at the issuer.

An access token that was copied elsewhere is valid until its end, 15 minutes at most.

\b
Exit codes: 0 signed out, or nobody was signed in; 2 the issuer did not respond."""


def login(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Sign in."""
    _show(open_session(context).sign_in(_show_code, time.sleep), as_json=as_json)


def whoami(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show who is signed in."""
    _show(open_session(context).signed(), as_json=as_json)


def logout(context: typer.Context) -> None:
    """Sign out."""
    print("signed out" if open_session(context).sign_out() else "nobody was signed in")


def _show_code(code: DeviceCode) -> None:
    print(f"open {code.page}\nand approve the code {code.user_code}", file=sys.stderr)
    if sys.stdout.isatty() and {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        webbrowser.open(code.page)


def _show(signed: Signed, *, as_json: bool) -> None:
    claims = signed.claims
    named = str(claims.get("scope", "")).split()
    found = {
        "actor": f"{claims.get('iss')}|{claims.get('sub')}",
        "scopes": [scope for scope in SCOPES if scope in named],
        "until": datetime.fromtimestamp(signed.expires_at, UTC),
        "refreshed": bool(signed.refresh_token),
    }
    if as_json:
        print_json(found)
        return
    rows = [*found.items()]
    rows[1] = ("scopes", " ".join(found["scopes"]) or "none")  # type: ignore[arg-type]
    rows[3] = ("then", cell("refreshed" if found["refreshed"] else "`countersign login`"))
    console().print(table_of("", ("", ""), rows))
