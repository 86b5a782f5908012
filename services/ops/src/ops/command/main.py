"""All commands; an error becomes one sentence and an exit code."""

import sys
from typing import Annotated

import typer
from typer._completion_classes import completion_init

from ops.command import (
    accounts,
    ask,
    audit,
    browse,
    charge_reviews,
    charges,
    check,
    clients,
    codes,
    completion,
    discards,
    dlq,
    doctor,
    fraud,
    identity,
    keys,
    kyc,
    operators,
    partners,
    pay,
    proposals,
    reconcile,
    retention,
    reviews,
    screening,
    show,
    subject,
)
from ops.command.session import OFFSET_VARIABLE, OPERATOR_VARIABLE, Choice
from ops.domain.errors import OpsError

EXIT_CODES = """\b
Exit codes: 0 done; 1 refused, or a violation was found; 2 wrong usage, or a service did not
respond; 3 a one-time code is required; 4 not decided yet; 5 several payments match."""

app = typer.Typer(
    name="countersign",
    help="Confirm payments, and follow them, on the running system.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("login", help=identity.LOGIN_HELP)(identity.login)
app.command("whoami", help=identity.WHOAMI_HELP)(identity.whoami)
app.command("logout", help=identity.LOGOUT_HELP)(identity.logout)
app.command("pay", help=pay.HELP)(pay.pay)
app.command("token", help=pay.TOKEN_HELP)(pay.token)
app.command("show", help=show.HELP)(show.show)
app.command("ask", help=ask.HELP)(ask.ask)
app.add_typer(accounts.app, name="accounts")
app.command("proposals", help=proposals.LIST_HELP)(proposals.proposals)
app.command("approve", help=proposals.APPROVE_HELP)(proposals.approve_one)
app.add_typer(clients.app, name="clients")
app.add_typer(operators.app, name="operators")
app.add_typer(codes.app, name="codes")
app.add_typer(subject.app, name="subject")
app.add_typer(kyc.app, name="kyc")
app.add_typer(audit.app, name="audit")
charges.app.command("reviews", help=charge_reviews.LIST_HELP)(charge_reviews.list_reviews)
charges.app.command("review", help=charge_reviews.DECIDE_HELP)(charge_reviews.decide)
app.add_typer(charges.app, name="charges")
app.add_typer(charges.routing_app, name="routing")
dlq.app.command("discard", help=discards.DISCARD_HELP)(discards.discard)
dlq.app.command("discards", help=discards.LIST_HELP)(discards.list_discards)
app.add_typer(dlq.app, name="dlq")
app.add_typer(keys.app, name="keys")
app.add_typer(partners.app, name="partners")
app.add_typer(screening.app, name="screening")
app.add_typer(fraud.app, name="fraud")
app.command("reconcile", help=reconcile.RECONCILE_HELP)(reconcile.reconcile)
app.add_typer(reconcile.cases, name="cases")
app.add_typer(reviews.app, name="reviews")
app.command("retention", help=retention.HELP)(retention.retention)
app.command("check", help=check.HELP)(check.check)
app.command("doctor", help=doctor.HELP)(doctor.doctor)
app.command("open", help=browse.HELP)(browse.browse)
app.command("completion", help=completion.HELP)(completion.completion)


@app.callback()
def found(
    context: typer.Context,
    offset: Annotated[
        int,
        typer.Option(envvar=OFFSET_VARIABLE, min=0, help="Port offset of the stack."),
    ] = 0,
    operator: Annotated[
        str,
        typer.Option(
            "--as", envvar=OPERATOR_VARIABLE, help="Act as this operator of a development issuer."
        ),
    ] = "",
) -> None:
    """Store the offset of the stack, and the development operator."""
    context.obj = Choice(offset, operator)


def main() -> None:
    """Run one command; leave with its exit code."""
    completion_init()  # typer registers the shells only where it installs its script
    try:
        app()
    except OpsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended.
        sys.stderr.close()
        sys.exit(0)
