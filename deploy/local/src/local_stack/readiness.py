"""Waiting until processes are ready."""

import http.client
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local_stack.errors import StackError
from local_stack.waiting import wait_until
from service_runtime.tls import Certificates

_ASK_WITHIN_S = 2
LOG_LINES = 15


def is_ready(url: str, tls: Certificates | None = None) -> bool:
    """Whether `GET /ready` returns 200."""
    return _ask(url, tls=tls)[0] == http.client.OK


def answers_ok(url: str) -> bool:
    """Whether a GET of this address returns 200."""
    parts = urlsplit(url)
    return _ask(f"{parts.scheme}://{parts.netloc}", parts.path)[0] == http.client.OK


def _ask(url: str, path: str = "/ready", tls: Certificates | None = None) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=_ASK_WITHIN_S, context=tls.client)
        if tls and parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=_ASK_WITHIN_S)
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


def wait_for_all(
    urls: Mapping[str, str],
    last_lines_of: Callable[[str], str],
    tell: Callable[[str], None],
    *,
    seconds: float,
    tls: Certificates | None = None,
) -> None:
    """Wait until every process (name -> address) is ready, and report each.

    Raises StackError with those that are not, their responses and the end of their logs.
    """
    waiting = dict(urls)

    def all_ready() -> bool:
        for name in [name for name, url in waiting.items() if is_ready(url, tls)]:
            tell(f"{name} is ready at {waiting.pop(name)}")
        return not waiting

    try:
        wait_until(all_ready, seconds=seconds, otherwise="not ready", pause_s=0.1)
    except StackError as error:
        raise StackError(f"{error}: " + "\n".join(_reports(waiting, last_lines_of, tls))) from None


def _reports(
    waiting: Mapping[str, str], last_lines_of: Callable[[str], str], tls: Certificates | None
) -> Iterable[str]:
    for name, url in waiting.items():
        status, body = _ask(url, tls=tls)
        answer = json.dumps(body[:300]) if status else "no answer"
        yield f"{name} ({answer}); its log ends:\n{last_lines_of(name)}"


def last_lines(log: Path, count: int = LOG_LINES) -> str:
    """The last lines of a log, or a note that there is none."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 200 * count))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
