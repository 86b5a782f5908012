"""`countersign pay` and `countersign token`: a client's requests."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ops.clients.confirmation import (
    CODE_ASKED,
    PENDING,
    SHOWN_HEADERS,
    authorization,
    confirm,
    exit_code_of,
    token_of,
)
from ops.clients.system import HttpResponse
from ops.command import completion
from ops.command.output import AsJson, cell, command_line, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.errors import UNAVAILABLE
from service_runtime.clock import SystemClock

HELP = """Confirm a payment by POST /payment/confirm, and print the response.

Without --tx or --key new ids are generated and printed; use them again to repeat the request or to
add the code. Without --user or --token the request is anonymous (in development: usr-456).

\b
Examples:
  countersign pay --amount 50 --from acc-1 --to payee-xyz
  countersign pay --tx tx-1 --key k-1 --amount 5200 --from acc-1 --to payee-xyz
  countersign pay --tx tx-1 --key k-1 --otp 789012
  countersign pay --user usr-457 --amount 5 --from acc-2 --to payee-known --json

\b
Exit codes: 0 confirmed (200); 3 a one-time code is required; 4 not decided yet (202, or the same
request is still running); 1 refused (any other 4xx, declined, wrong code); 2 not accepted (5xx),
or the gateway did not respond."""

TOKEN_HELP = """Print an access token for a user, from the development issuer.

\b
Examples:
  countersign token --user usr-457
  curl -H "Authorization: Bearer $(countersign token --user usr-457)" …"""  # noqa: S105 - words about a token

Tx = Annotated[str | None, typer.Option(help="Transaction id [default: generated].")]
Key = Annotated[str | None, typer.Option(help="Idempotency key [default: generated].")]
Amount = Annotated[str | None, typer.Option(help="In major units, such as 5200.00.")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217 [default: USD].")]
From = Annotated[
    str | None,
    typer.Option("--from", help="The debtor's account.", autocompletion=completion.accounts),
]
To = Annotated[str | None, typer.Option("--to", help="The creditor's account.")]
Otp = Annotated[str | None, typer.Option(help="One-time code, 6 digits.")]
User = Annotated[str | None, typer.Option(help="Act as this user, with a token from the issuer.")]
Token = Annotated[str | None, typer.Option(help="Access token.")]
Country = Annotated[str | None, typer.Option(help="X-Client-Country, ISO 3166-1 alpha-2.")]
Device = Annotated[str | None, typer.Option(help="X-Device-Fingerprint.")]


def pay(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    tx: Tx = None,
    key: Key = None,
    amount: Amount = None,
    currency: Currency = None,
    from_account: From = None,
    to_account: To = None,
    otp: Otp = None,
    user: User = None,
    token: Token = None,
    country: Country = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Confirm a payment."""
    if user and token:
        raise typer.BadParameter("use --user or --token, not both")
    tx, key = tx or f"tx-{SystemClock().new_id()}", key or str(SystemClock().new_id())
    body = {
        "transaction_id": tx,
        "idempotency_key": key,
        "amount": amount,
        "currency": currency,
        "from_account": from_account,
        "to_account": to_account,
        "otp_code": otp,
    }
    system = open_system(context)
    bearer = token_of(system, user) if user else token
    headers = authorization(bearer) | _client_headers(country, device)
    response = confirm(system, body, headers)
    exit_code = exit_code_of(response.status, response.body)
    _print_reply(body, response, as_json=as_json)
    if exit_code and not as_json:
        options = {"--tx": tx, "--key": key, "--user": user}
        console().print(cell(f"next: `{next_after(exit_code, response, options)}`"))
    raise typer.Exit(exit_code)


def next_after(exit_code: int, response: HttpResponse, options: Mapping[str, str | None]) -> str:
    """Return the command to run after a response that is no confirmation."""
    repeat = command_line("pay", options=options)
    fields = response.body if isinstance(response.body, dict) else {}
    if exit_code == PENDING:
        return repeat
    if exit_code == CODE_ASKED or fields.get("error") == "Invalid OTP":
        return f"{repeat} --otp CODE"
    if exit_code == UNAVAILABLE:
        return "make logs S=gateway"
    if fields.get("status") == "DECLINED":
        return command_line("show", str(options["--tx"]), options={})
    return "countersign pay --help"


def _client_headers(country: str | None, device: str | None) -> dict[str, str]:
    given = {"X-Client-Country": country, "X-Device-Fingerprint": device}
    return {name: value for name, value in given.items() if value}


def _print_reply(body: dict[str, Any], response: HttpResponse, *, as_json: bool) -> None:
    shown = {name: response.headers[name] for name in SHOWN_HEADERS if name in response.headers}
    ids = {name: body[name] for name in ("transaction_id", "idempotency_key")}
    answer = response.text if response.body is None else response.body
    if as_json:
        print_json({**ids, "status": response.status, "headers": shown, "body": answer})
        return
    screen = console()
    rows = [*ids.items(), ("status", response.status), ("took", f"{response.took_ms:.0f} ms")]
    screen.print(table_of("", ("", ""), [*rows, *shown.items()]))
    screen.print(cell(response.text))


def token(
    context: typer.Context,
    *,
    user: Annotated[str, typer.Option(help="The token's subject.")],
    scope: Annotated[str, typer.Option(help="The token's scope.")] = "payment.confirm",
    as_json: AsJson = False,
) -> None:
    """Print an access token."""
    found = token_of(open_system(context), user, scope)
    if as_json:
        print_json({"access_token": found, "sub": user, "scope": scope})
    else:
        print(found)
