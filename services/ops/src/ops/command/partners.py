"""`countersign partners`: partner banks on Kafka, from their first day to a new password."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ops.clients.listings import PARTNERS
from ops.clients.partner_profiles import change, profile_of
from ops.command import completion
from ops.command.output import AsJson, console, print_json, table_of
from ops.command.session import open_system
from ops.command.times import Utc, moment_in
from ops.domain import partners as domain
from ops.domain.errors import RefusedError
from ops.domain.rows import Row

ADD_HELP = """Add a partner bank on Kafka: topics, login, rights, quotas, profile at settlement.

Writes a folder for the bank: partner.properties (how it connects, with its password), the AsyncAPI
document and the JSON Schemas of its messages. The password is nowhere else: send it safely, and
then remove the folder.

The command can be repeated, also after it has failed half-way: it makes what is missing, and
changes nothing that exists. Payments to the account prefixes go to the bank's topic seconds after
the command has ended; no process is restarted. Needs the administrator's login at Kafka
(KAFKA_ADMIN_PASSWORD_FILE, or the local stack's).

\b
Examples:
  countersign partners add south-bank --keys south-bank.jwks.json --prefix south-
  countersign partners add west-bank --keys west.json --prefix west- --format iso20022 --json

\b
Exit codes: 0 added, or there already; 1 refused; 2 wrong usage, or a service did not respond."""

LIST_HELP = """List the partner banks on Kafka.

\b
Examples:
  countersign partners list
  countersign partners list --json | jq '.partners[] | select(.suspended_at != null)'

\b
Exit codes: 0 listed, even if there are none; 2 settlement did not respond."""

SHOW_HELP = """Show the profile of a partner bank, with the ids of its keys.

\b
Examples:
  countersign partners show south-bank
  countersign partners show south-bank --json

\b
Exit codes: 0 shown; 1 unknown; 2 settlement did not respond."""

ROTATE_HELP = """Give a partner bank a new password at Kafka; with --keys, replace its public keys.

A principal has one password: from now on a new connection with the old one is refused, open
connections stay. Agree on the time with the bank; until then it works with its open connections.
--keys: put the new key beside the old one, and repeat with the new one alone when the bank has
changed over. Our own keys: `countersign keys rotate partner-signing --accept-only`.

\b
Examples:
  countersign partners rotate south-bank
  countersign partners rotate south-bank --keys both.jwks.json

\b
Exit codes: 0 rotated; 1 refused; 2 wrong usage, or a service did not respond."""

SUSPEND_HELP = """Send nothing more to a partner bank; its instructions wait at settlement.

\b
Examples:
  countersign partners suspend south-bank
  countersign partners suspend south-bank --json

\b
Exit codes: 0 suspended; 1 refused; 2 settlement did not respond."""

RESUME_HELP = """Send to a suspended partner bank again: what has waited first, in its order.

\b
Examples:
  countersign partners resume south-bank
  countersign partners resume south-bank --json

\b
Exit codes: 0 resumed; 1 refused; 2 settlement did not respond."""

REPLAY_HELP = """Publish instructions to a partner bank again, under their ids: it books each once.

\b
Examples:
  countersign partners replay south-bank --since 2026-11-20T08:00:00Z
  countersign partners replay south-bank --uetr 8a562c67-ca16-48ba-b074-65581be6f011

\b
Exit codes: 0 requested; 1 refused; 2 wrong usage, or settlement did not respond."""

app = typer.Typer(
    help="Add partner banks on Kafka, and look after them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Partner = Annotated[
    str,
    typer.Argument(
        metavar="PARTNER", help="The bank's id.", autocompletion=completion.kafka_partners
    ),
]
Keys = Annotated[
    Path | None, typer.Option("--keys", help="The bank's public keys, a JWK set (Ed25519).")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="The folder to write; else ./partner-PARTNER.")
]

_LISTED = ("partner", "format", "partitions", "account_prefixes", "answer_within_s", "suspended_at")


@app.command("add", help=ADD_HELP)
def add(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    partner: Annotated[str, typer.Argument(metavar="PARTNER", help="Its id: a-z, 0-9 and -.")],
    *,
    keys: Annotated[Path, typer.Option(help="The bank's public keys, a JWK set (Ed25519).")],
    prefixes: Annotated[
        list[str], typer.Option("--prefix", help="Start of the accounts that the bank holds.")
    ],
    message_format: Annotated[
        Literal["json", "iso20022"], typer.Option("--format", help="Of all messages.")
    ] = "json",
    partitions: Annotated[
        int, typer.Option(min=1, max=64, help="Of each of its topics; the quotas follow from it.")
    ] = 4,
    answer_within_s: Annotated[
        int, typer.Option("--answer-within", min=1, help="Seconds until a report is late.")
    ] = 60,
    enquire_after_s: Annotated[
        int, typer.Option("--enquire-after", min=1, help="Seconds until we publish again.")
    ] = 300,
    password_file: Annotated[
        Path | None, typer.Option(help="A password to use; else a new one is made.")
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Add a partner bank."""
    # This import takes a third of a second, so only the commands that need it pay for it.
    from ops.clients.onboarding import onboarding_of  # noqa: PLC0415
    from ops.clients.partner_files import keys_in, password_in  # noqa: PLC0415

    wanted = domain.Profile(
        partner=partner,
        format=message_format,
        partitions=partitions,
        account_prefixes=tuple(prefixes),
        answer_within_s=answer_within_s,
        enquire_after_s=enquire_after_s,
        keys=keys_in(keys),
    )
    domain.check(wanted)
    given = password_in(password_file) if password_file else None
    onboarding = onboarding_of(open_system(context), partner, out)
    has_password = onboarding.add(wanted, given)
    shown = {
        "properties": str(onboarding.files.properties) if has_password else None,
        "jwks": onboarding.connection.jwks_url,
        "asyncapi": str(onboarding.write_contract(wanted)),
    }
    _print_added(shown, as_json=as_json)


def _print_added(shown: Mapping[str, str | None], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    console().print(table_of("For the bank:", ("", ""), list(shown.items())))
    if shown["properties"]:
        print("partner.properties holds the password: send it safely, then remove it here.")
    else:
        print("The bank has its password already; `countersign partners rotate` makes a new one.")


@app.command("list", help=LIST_HELP)
def list_partners(context: typer.Context, *, _utc: Utc = False, as_json: AsJson = False) -> None:
    """List partner banks."""
    found = open_system(context).rows(PARTNERS)
    if as_json:
        print_json({"partners": found})
    elif found:
        rows = (_plain(one) for one in found)
        screen_rows = ([row[name] for name in _LISTED] for row in rows)
        console().print(table_of("", _LISTED, screen_rows))
    else:
        console().print("no partner bank is on Kafka")


@app.command("show", help=SHOW_HELP)
def show(
    context: typer.Context, partner: Partner, *, _utc: Utc = False, as_json: AsJson = False
) -> None:
    """Show a partner bank."""
    _print(profile_of(open_system(context), partner), as_json=as_json)


@app.command("rotate", help=ROTATE_HELP)
def rotate(
    context: typer.Context,
    partner: Partner,
    *,
    keys: Keys = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Give a partner bank a new password, or new keys."""
    from ops.clients.onboarding import onboarding_of  # noqa: PLC0415 - as in `add`
    from ops.clients.partner_files import keys_in  # noqa: PLC0415

    system = open_system(context)
    if keys is not None:
        _print(change(system, partner, "keys", {"keys": keys_in(keys)}), as_json=as_json)
        return
    onboarding = onboarding_of(system, partner, out)
    onboarding.rotate(partner)
    properties = str(onboarding.files.properties)
    if as_json:
        print_json({"properties": properties})
    else:
        print(f"{properties} holds the new password: send it safely, then remove it here.")


@app.command("suspend", help=SUSPEND_HELP)
def suspend(context: typer.Context, partner: Partner, *, as_json: AsJson = False) -> None:
    """Suspend a partner bank."""
    _print(change(open_system(context), partner, "suspend"), as_json=as_json)


@app.command("resume", help=RESUME_HELP)
def resume(context: typer.Context, partner: Partner, *, as_json: AsJson = False) -> None:
    """Resume a partner bank."""
    _print(change(open_system(context), partner, "resume"), as_json=as_json)


@app.command("replay", help=REPLAY_HELP)
def replay(
    context: typer.Context,
    partner: Partner,
    *,
    since: Annotated[
        str | None, typer.Option(help="All that were published since this time (ISO 8601).")
    ] = None,
    uetr: Annotated[str | None, typer.Option(help="Only this transfer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Publish instructions again."""
    if (since is None) is (uetr is None):
        raise typer.BadParameter("exactly one of --since and --uetr must be given")
    body = {"uetr": uetr} if uetr else {"since": _moment(since or "").isoformat()}
    _print(change(open_system(context), partner, "replay", body), as_json=as_json)


def _moment(text: str) -> datetime:
    try:
        moment = moment_in(text)
    except ValueError:
        moment = None
    if moment is None:
        raise RefusedError(f"--since: {text!r} must be a time with its zone, 2026-11-20T08:00:00Z")
    return moment


def _print(found: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        console().print(table_of("", ("", ""), list(_plain(found).items())))


def _plain(profile: Row) -> dict[str, Any]:
    """Return a profile for a table: lists as words, keys by their ids."""
    shown = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in profile.items()
    }
    if isinstance(profile.get("keys"), dict):
        shown["keys"] = ", ".join(key["kid"] for key in profile["keys"]["keys"])
    return shown
