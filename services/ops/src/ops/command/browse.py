"""`countersign open`: the addresses of the running system."""

import os
import sys
import webbrowser
from dataclasses import asdict
from typing import Annotated

import typer

from ops.clients.pages import NAMES, Page, pages_of, responds
from ops.command.output import AsJson, console, print_json, table_of
from ops.command.session import open_system
from ops.domain.errors import RefusedError, UnavailableError
from service_runtime.clock import SystemClock

HELP = f"""Print the addresses of the running system, or open one page in a browser.

PAGE is one of {", ".join(NAMES)}. Without Docker, `make observe` starts the last four except logs;
`make logs` prints the logs. Without a display the address is only printed.

\b
Examples:
  countersign open
  countersign open docs
  curl -s "$(countersign open sms)"

\b
Exit codes: 0 printed; 1 unknown page; 2 the system or the page's server is not running."""

PageName = Annotated[
    str | None,
    typer.Argument(metavar="[PAGE]", help="The page.", autocompletion=lambda: list(NAMES)),
]


def browse(context: typer.Context, name: PageName = None, *, as_json: AsJson = False) -> None:
    """Print and open addresses."""
    addresses = open_system(context).addresses
    pages = pages_of(addresses, SystemClock().now().date())
    if not pages:
        addresses.url("gateway")
    if name:
        pages = [named(pages, name)]
    if as_json:
        print_json([asdict(page) | {"answers": responds(page)} for page in pages])
    elif name:
        print(pages[0].url)
        _open(pages[0])
    else:
        rows = (
            (page.name, page.title, page.url if responds(page) else f"`{page.start}` starts it")
            for page in pages
        )
        console().print(table_of("", ("page", "shows", "address"), rows))


def named(pages: list[Page], name: str) -> Page:
    """Return a page by its name. Raises UnavailableError if no server listens there."""
    for page in pages:
        if page.name == name:
            if not responds(page):
                raise UnavailableError(f"no server listens at {page.url}", page.start)
            return page
    then = "make logs" if name == "logs" else "countersign open"
    raise RefusedError(f"this system has no page {name}", then)


def _open(page: Page) -> None:
    """Open a page in a browser, at a terminal with a display."""
    has_display = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if sys.stdout.isatty() and has_display:
        webbrowser.open(page.url)
