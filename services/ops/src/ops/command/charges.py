"""`countersign charges` and `countersign routing`: card payments, and how they are routed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.amounts import money
from ops.domain.errors import REFUSED, RefusedError
from service_runtime.clock import SystemClock

OWNER = "charges"
SHOW_HELP = """Show a charge: its status, refunds, transfers, and why its provider was chosen.

\b
Examples:
  countersign charges show txn_4f0c…
  countersign charges show txn_4f0c… --json | jq .choices

\b
Exit codes: 0 shown; 1 unknown; 2 the service did not respond."""

REFUND_HELP = """Refund a charge for its merchant, whole or in part; never more than was captured.

The amount is in the currency's minor unit: 300 in USD is $3.00. Without one, all that is left is
refunded. The note is kept in the audit log. Needs the scope cases.approve.

\b
Examples:
  countersign charges refund txn_4f0c… --note "duplicate order 5512"
  countersign charges refund txn_4f0c… --amount 300 --note "one of two items returned"

\b
Exit codes: 0 accepted; 1 refused, such as more than is left; 2 the service did not respond."""

ROUTING_HELP = """Show what routing knows of each provider, by segment.

A segment is a method, a currency and an amount band. Counts fade: about the last 67 outcomes count.

\b
Examples:
  countersign charges routing
  countersign charges routing --hours 1 --json

\b
Exit codes: 0 shown; 2 the service did not respond."""

EVALUATE_HELP = """Estimate what another routing policy would have achieved, before it goes live.

Uses the logged choices, each with the probability with which it was drawn: by inverse propensity
(IPS), self-normalised (SNIPS), and doubly robust (DR), each with its 95 % interval. Refuses where
the effective sample size is under 5 % of the choices: they say too little of the policy.

\b
--policy is a JSON file, {"segments":{"card:USD:1":{"stripe":1}},"otherwise":{"adyen":1}}: shares of
providers by segment. --always is the policy of one provider.

\b
Examples:
  countersign routing evaluate --always stripe
  countersign routing evaluate --policy new.json --days 7 --json

\b
Exit codes: 0 estimated; 1 refused, or a wrong policy; 2 the service did not respond."""

app = typer.Typer(
    help="Look at card payments, and refund.", no_args_is_help=True, rich_markup_mode=None
)
routing_app = typer.Typer(
    help="Judge how card payments are routed.", no_args_is_help=True, rich_markup_mode=None
)
Transaction = Annotated[str, typer.Argument(metavar="TXN", help="The charge's id, txn_….")]
_HIDDEN = ("id", "refunds", "transfers", "choices", "source")


@app.command("show", help=SHOW_HELP)
def show(context: typer.Context, transaction: Transaction, *, as_json: AsJson = False) -> None:
    """Show a charge."""
    found = open_system(context).get(OWNER, f"/admin/charges/{transaction}")
    if as_json:
        print_json(found)
        return
    currency, screen = found["currency"], console()
    lines = [
        (name.removesuffix("_minor"), money(value, currency) if name.endswith("_minor") else value)
        for name, value in found.items()
        if name not in _HIDDEN and value not in (None, [])
    ]
    screen.print(table_of("", ("", ""), [(name, _text(value)) for name, value in lines]))
    _print_parts(found, currency)


def _print_parts(found: Mapping[str, Any], currency: str) -> None:
    refunds = [(r["refundId"], money(r["amount"], currency), r["status"]) for r in found["refunds"]]
    transfers = [
        (t["kind"], t["debit_account"], t["credit_account"], money(t["amount_minor"], currency))
        for t in found["transfers"]
    ]
    choices = [
        (c["attempt"], c["provider"], f"{c['propensity']:.3f}", _outcome(c), _reasons(c["reasons"]))
        for c in found["choices"]
    ]
    for title, columns, rows in (
        ("Refunds", ("refund", "amount", "status"), refunds),
        ("Transfers", ("kind", "from", "to", "amount"), transfers),
        ("Choices", ("attempt", "provider", "probability", "outcome", "why"), choices),
    ):
        if rows:
            console().print(table_of(title, columns, rows))


def _text(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value


def _outcome(choice: Mapping[str, Any]) -> str:
    return {True: "accepted", False: "not accepted", None: "-"}[choice["is_success"]]


def _reasons(reasons: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {reason['probability']:.2f}" if isinstance(reason, dict) else f"{name}: {reason}"
        for name, reason in reasons.items()
    )


@app.command("refund", help=REFUND_HELP)
def refund(
    context: typer.Context,
    transaction: Transaction,
    *,
    note: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    amount: Annotated[int | None, typer.Option(min=1, help="In the minor unit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Refund a charge."""
    path = f"/admin/charges/{transaction}/refunds"
    body = {"note": note} | ({"amount": amount} if amount else {})
    found = open_system(context).post(OWNER, path, body, key=str(SystemClock().new_id()))["data"]
    if as_json:
        print_json(found)
        return
    shown = money(found["amount"], found["currency"])
    console().print(cell(f"{found['refundId']}: {shown} of {transaction}, {found['status']}"))


@app.command("routing", help=ROUTING_HELP)
def routing(
    context: typer.Context,
    *,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How far back choices count.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Show routing."""
    found = open_system(context).get(OWNER, "/admin/routing", hours=hours)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            arm["segment"],
            arm["provider"],
            f"{arm['successes']:.1f} / {arm['failures']:.1f}",
            arm["choices"],
            f"{100 * arm['succeeded'] / arm['known']:.1f} %" if arm["known"] else None,
        )
        for arm in found["arms"]
    ]
    columns = ("segment", "provider", "faded successes / failures", f"in {hours} h", "accepted")
    console().print(table_of("", columns, rows))
    down = [name for name, is_open in found["breakers_open"].items() if is_open]
    console().print(cell(f"breakers open: {', '.join(down) or 'none'}"))


@routing_app.command("evaluate", help=EVALUATE_HELP)
def evaluate(
    context: typer.Context,
    *,
    policy: Annotated[Path | None, typer.Option(help="A JSON file of shares by segment.")] = None,
    always: Annotated[str, typer.Option(help="Always this provider.")] = "",
    days: Annotated[int, typer.Option(min=1, max=365, help="How far back choices are read.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Estimate a policy."""
    body = _policy(policy, always) | {"days": days}
    found = open_system(context).post(OWNER, "/admin/routing/evaluate", body)
    if as_json:
        print_json(found)
    else:
        _print_estimates(found)
    if found["is_refused"]:
        raise typer.Exit(REFUSED)


def _policy(policy: Path | None, always: str) -> dict[str, Any]:
    if (policy is None) == (not always):
        raise typer.BadParameter("give either --policy or --always")
    if policy is None:
        return {"otherwise": {always: 1}}
    try:
        found = json.loads(policy.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusedError(f"{policy}: {error}", "countersign routing evaluate --help") from None
    if not isinstance(found, dict):
        raise RefusedError(
            f"{policy}: must be a JSON object", "countersign routing evaluate --help"
        )
    return found


def _print_estimates(found: Mapping[str, Any]) -> None:
    named = {"achieved": "logged", "IPS": "ips", "SNIPS": "snips", "DR": "doubly_robust"}
    rows = [
        (
            title,
            f"{100 * one['value']:.2f} %",
            f"{100 * one['low']:.2f} … {100 * one['high']:.2f} %",
        )
        for title, name in named.items()
        if (one := found[name])
    ]
    console().print(table_of("", ("", "accepted", "95 % interval"), rows))
    size = f"{found['effective']:.0f} of {found['choices']} choices ({100 * found['share']:.1f} %)"
    console().print(cell(f"effective sample size: {size}"))
    if found["is_refused"]:
        least = 100 * found["least_share"]
        console().print(cell(f"refused: under {least:.0f} %, the choices say too little of it"))
