"""The page of a runbook: its text as it is written, with a way back."""

from fastapi import Request
from fastapi.responses import Response

from ops.console.frame import Console
from ops.domain.runbooks import parts_of


def runbook_page(console: Console, request: Request, name: str, text: str) -> Response:
    """Return the page of a runbook; its first line is the title."""
    title, _, rest = text.partition("\n")
    return console.plain(
        request,
        "runbook.html",
        alert=name,
        title=title.lstrip("# "),
        parts=parts_of(rest),
        address=f"{console.url}/runbooks/{name}",
    )
