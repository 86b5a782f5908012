"""`countersign show`: one payment, from all services."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from ops.clients.payments import PaymentOverview, explain, find_payments, overview_of
from ops.clients.system import System
from ops.command.output import AsJson, cell, command_line, console, print_json, table_of
from ops.command.session import open_system
from ops.command.times import Utc, clock_time, distance, moment_in, shown, zone_of
from ops.command.watching import View, Watch, show_view
from ops.domain.amounts import money
from ops.domain.errors import UNAVAILABLE, AmbiguousError, RefusedError
from ops.domain.rows import Row
from service_runtime.clock import SystemClock

HELP = """Show one payment: pending steps, ledger, risk, settlement, codes, messages, timeline.

TX is the client's transaction id, or the payment_id or uetr of a log line. If several users have
used the same transaction id, all are listed, and --user selects one.

\b
Examples:
  countersign show tx-987
  countersign show tx-987 --user usr-456
  countersign show tx-987 --watch
  countersign show tx-987 --json | jq .waits_for

\b
With --watch it repeats every 2 s, until no step is pending or Ctrl-C.

\b
Exit codes: 0 shown; 1 not found; 2 a service did not respond (the other services' data is shown);
5 several match: use --user."""

REPEAT_AFTER_S = 2.0
_FIELDS = (
    "payment_id",
    "user_id",
    "status",
    "state",
    "version",
    "reason",
    "reference",
    "settlement_method",
    "settlement_status",
    "uetr",
    "from_account",
    "to_account",
    "risk_score",
    "risk_level",
    "challenge_number",
    "deadline",
    "trace_id",
    "trace",
    "created_at",
    "updated_at",
)
_HIDDEN = frozenset(
    {"payment_id", "user_id", "transaction_id", "next_step", "created_at", "screenings"}
)
"""Shown above or below, or internal to the service; `--json` has all."""
_TIMELINE_QUIET = frozenset(
    {
        "amount_minor",
        "amount_usd_minor",
        "currency",
        "expires_at",
        "code_expires_at",
        "requested_at",
        "confirmed_at",
        "request_id",
        "challenge_id",
        "delivery_id",
        "provider_id",
        "uetr",
        "screenings",
    }
)
"""Omitted from a timeline's lines, which would be too long; `--json` has them."""


def show(
    context: typer.Context,
    tx: Annotated[str, typer.Argument(metavar="TX", help="Transaction id, payment id or UETR.")],
    *,
    user: Annotated[str | None, typer.Option(help="The payment's user.")] = None,
    watch: Watch = False,
    _utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Show one payment."""
    system = open_system(context)

    def fetch() -> View:
        known = overview_of(system, _one(system, tx, user, as_json=as_json), SystemClock().now())
        explain(system, known)

        def show_it() -> None:
            if as_json:
                print_json(known.as_dict())
            else:
                show_payment(console(), known)

        is_over = not (known.waits_for or known.missing)
        return View(show_it, UNAVAILABLE if known.missing else 0, is_last=is_over)

    show_view(fetch, repeat_after_s=REPEAT_AFTER_S if watch else None)


def _one(system: System, tx: str, user: str | None, *, as_json: bool) -> Row:
    found = find_payments(system, tx, user)
    if not found:
        whose = f" of {user}" if user else ""
        what = f"no payment{whose} has the transaction id, id or UETR {tx}"
        raise RefusedError(what, "countersign accounts list")
    if len(found) > 1:
        _list_matches(found, as_json=as_json)
        then = command_line("show", tx, options={"--user": found[-1]["user_id"]})
        raise AmbiguousError(f"{len(found)} payments match {tx}", then)
    return found[0]


def _list_matches(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"matches": found})
        return
    columns = ("user_id", "transaction_id", "state", "settlement_status", "amount", "created_at")
    rows = ([one[name] for name in columns] for one in found)
    console().print(table_of("", columns, rows))


def show_payment(screen: Console, known: PaymentOverview) -> None:
    """Print a payment with all rows of the services."""
    payment = known.payment
    amount = ("amount", f"{payment['amount']} {payment['currency']}")
    rows = [(name, payment.get(name)) for name in _FIELDS if payment.get(name) is not None]
    screen.print(table_of(f"Payment {payment['transaction_id']}", ("", ""), [amount, *rows]))
    _show_waits(screen, known)
    _show_ledger(screen, payment["entries"])
    _show_explanations(screen, known.explanations)
    for title, lines in (
        ("Risk", known.assessments),
        ("Screening", known.screenings),
        ("Settlement", known.instructions),
        ("One-time codes", known.challenges),
        ("Messages", known.deliveries),
        ("Cases", known.cases),
    ):
        _show_rows(screen, title, lines)
    show_timeline(screen, known.timeline)
    for sentence in known.missing:
        screen.print(f"[yellow]not shown:[/] {cell(sentence)}")


def _show_waits(screen: Console, known: PaymentOverview) -> None:
    screen.print()
    if not known.waits_for:
        screen.print(f"It waits for nothing{' that is known' if known.missing else ''}.")
        return
    now = SystemClock().now()
    rows = [(one.what, _until(one.until, now), one.then) for one in known.waits_for]
    screen.print(table_of("It waits for", ("", "until", "then"), rows))


def _until(text: str | None, now: datetime) -> str:
    moment = moment_in(text or "")
    return f"{shown(moment)}, {distance(moment, now)}" if moment else "-"


def _show_ledger(screen: Console, entries: Sequence[Mapping[str, Any]]) -> None:
    if not entries:
        return
    rows = (
        (one["kind"], one["account_id"], money(one["amount_minor"], one["currency"]))
        for one in entries
    )
    screen.print()
    screen.print(table_of("Ledger", ("transfer", "account", "amount"), rows))


def _show_explanations(screen: Console, explanations: Sequence[Mapping[str, Any]]) -> None:
    for one in explanations:
        by = one["source"] and f"{one['source']}{_reason(one)}"
        rows = [
            ("why this score", one["summary"] or "not explained yet"),
            ("recommended", "\n".join(one["recommendations"] or ()) or "-"),
            ("explained by", by or "-"),
        ]
        screen.print()
        screen.print(table_of("Explanation", ("", ""), rows))


def _reason(explanation: Mapping[str, Any]) -> str:
    return f" ({explanation['reason']})" if explanation["reason"] else ""


def _show_rows(screen: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of a service with all columns that have a value."""
    if not rows:
        return
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in names if name not in _HIDDEN and any(row.get(name) for row in rows)]
    shown = [[_plain(row.get(name)) for name in columns] for row in rows]
    screen.print()
    if len(rows) == 1:
        screen.print(table_of(title, ("", ""), list(zip(columns, shown[0], strict=True))))
        return
    screen.print(table_of(title, columns, shown))


def _plain(value: Any) -> Any:
    return _short(value) if isinstance(value, list) else value


def show_timeline(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a payment's entries of the audit log, by time."""
    if not rows:
        return
    times = [datetime.fromisoformat(row["created_at"]) for row in rows]
    lines = (
        (clock_time(time), row["event"], row["topic"], _details(row["metadata"]))
        for time, row in zip(times, rows, strict=True)
    )
    screen.print()
    columns = (f"time ({zone_of(times[0])})", "event", "topic", "details")
    screen.print(table_of("Timeline", columns, lines))


def _details(metadata: Mapping[str, Any]) -> str:
    """Return an entry's metadata in short form."""
    shown = {
        name: _short(value)
        for name, value in metadata.items()
        if name not in _TIMELINE_QUIET and not name.endswith("_account") and value != []
    }
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_short(one) for one in value) + "]"
    if isinstance(value, dict):
        return "/".join(str(one) for one in value.values())
    return str(value)
