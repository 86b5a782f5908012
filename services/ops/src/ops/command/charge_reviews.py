"""`countersign charges reviews` and `charges review`: card payments that a person decides about."""

from typing import Annotated, Any

import typer

from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.amounts import money
from ops.domain.charge_reviews import review_of
from service_runtime.clock import SystemClock

OWNER = "charges"
PATH = "/admin/reviews"
DECISIONS = {"approve": True, "reject": False}
LIST_HELP = """List card payments that wait for a review, the oldest first.

Without a risk score a person looks at each: above the limit before the money is taken, else after.

\b
Examples:
  countersign charges reviews
  countersign charges reviews --json | jq '.reviews[] | select(.review == "HELD")'

\b
Exit codes: 0 listed, even if there are none; 2 the service did not respond."""

DECIDE_HELP = """Approve or reject a card payment that waits for a review.

A payment that is held is captured by an approval, and cancelled by a rejection. One that was
captured before is marked; a refund gives its money back. The note is kept in the audit log. Needs
the scope cases.approve.

\b
Examples:
  countersign charges review txn_4f0c… approve --note "a known donor"
  countersign charges review txn_4f0c… reject --note "the card was reported stolen"

\b
Exit codes: 0 decided; 1 refused, such as one that waits for none; 2 the service did not respond."""


def list_reviews(
    context: typer.Context,
    *,
    after: Annotated[str | None, typer.Option(help="The cursor of the next page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for a review."""
    found = open_system(context).get(OWNER, PATH, after=after)
    if as_json:
        print_json(found)
        return
    columns = ("transaction", "amount", "status", "review", "provider", "merchant", "created")
    console().print(table_of("", columns, [_row(one) for one in found["reviews"]]))
    if found["next"]:
        console().print(cell(f"next page: --after {found['next']}"))


def _row(one: Any) -> tuple[Any, ...]:
    amount = money(one["amount_minor"], one["currency"])
    rest = (one["provider"], one["user_id"], one["created_at"])
    return one["transactionId"], amount, one["status"], review_of(one), *rest


def decide(
    context: typer.Context,
    transaction: Annotated[str, typer.Argument(metavar="TXN", help="The charge's id, txn_….")],
    decision: Annotated[str, typer.Argument(help="approve or reject.")],
    *,
    note: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    as_json: AsJson = False,
) -> None:
    """Approve or reject a charge."""
    if decision not in DECISIONS:
        raise typer.BadParameter("must be approve or reject", param_hint="DECISION")
    body = {"approve": DECISIONS[decision], "note": note}
    key = str(SystemClock().new_id())
    found = open_system(context).post(OWNER, f"{PATH}/{transaction}", body, key=key)["data"]
    if as_json:
        print_json(found)
        return
    console().print(cell(f"{transaction}: {found['review'].lower()}, {found['status']}"))
