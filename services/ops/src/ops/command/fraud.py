"""`countersign fraud`: the models that score payments, and which of them decides."""

from typing import Annotated, Literal

import typer

from ops.command.output import AsJson, cell, console, print_json, table_of
from ops.command.proposals import show_proposed
from ops.command.session import open_system
from ops.domain.rows import Row

SERVICE = "fraud"
MODELS_HELP = """List the fraud models: stage, figures, and how each compares with the live one.

Compared are payments whose truth is known.

`verdict`: whether its squared errors are smaller (better) or larger (worse) than the live model's.

\b
Examples:
  countersign fraud models
  countersign fraud models --json | jq '.models[] | .compared'

\b
Exit codes: 0 listed; 2 fraud did not respond, or has not been started."""

STAGE_HELP = """Propose that a model decides: for a share of the users, or for all.

A second person approves it. A model becomes live from CANARY, and only if a figure says that it is
better than the live one: the comparison over payments, or else that of the training.

\b
Examples:
  countersign fraud stage ensemble-b71548bb canary --share 10
  countersign fraud stage ensemble-b71548bb live

\b
Exit codes: 0 proposed; 1 refused; 2 wrong usage, or fraud did not respond."""

ROLL_BACK_HELP = """Take the last step back, at once; one person suffices.

A canary decides nothing more; without one, the last model that was live decides again.

\b
Examples:
  countersign fraud roll-back
  countersign fraud roll-back --json

\b
Exit codes: 0 done; 1 there is no step to take back; 2 fraud did not respond."""

app = typer.Typer(
    help="Fraud models: list them, let one decide, take it back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_LISTED = ("model", "stage", "share", "trained AP", "payments", "difference", "verdict")


@app.command("models", help=MODELS_HELP)
def models(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List models."""
    found = open_system(context).get(SERVICE, "/admin/models")
    if as_json:
        print_json(found)
    else:
        console().print(table_of("", _LISTED, [_row(one) for one in found["models"]]))


def _row(model: Row) -> list[object]:
    figures, compared = model["card"]["figures"], model["compared"]
    difference = compared["difference"]
    return [
        model["version"],
        model["stage"],
        f"{model['share']} %",
        f"{figures['average_precision']:.3f}",
        compared["payments"],
        "" if difference is None else f"{difference:+.5f} ± {compared['half_width']:.5f}",
        compared["verdict"],
    ]


@app.command("stage", help=STAGE_HELP)
def stage(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="MODEL", help="A version.")],
    wanted: Annotated[Literal["canary", "live"], typer.Argument(metavar="canary|live")],
    *,
    share: Annotated[int, typer.Option(min=1, max=99, help="Per cent of users, of a canary.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Propose a step."""
    body = {"stage": wanted.upper(), "share": share}
    found = open_system(context).post(SERVICE, f"/admin/models/{version}/stage", body)
    if as_json:
        print_json(found)
    else:
        show_proposed(found)


@app.command("roll-back", help=ROLL_BACK_HELP)
def roll_back(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Take the last step back."""
    found = open_system(context).post(SERVICE, "/admin/models:roll-back", {})
    if as_json:
        print_json(found)
    else:
        for step in found["steps"]:
            console().print(cell(f"{step['version']}: {step['stage']}"))
