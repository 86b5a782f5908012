"""Messages of clients and of the gateway on a WebSocket, as JSON text. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from payment_schemas import answers
from payment_schemas.answers import Answer, RefusedError
from payment_schemas.ids import IDENTIFIER_PATTERN
from service_runtime.push import ServerEvent

Verb = Literal["token", "subscribe", "unsubscribe"]
VERBS: tuple[Verb, ...] = ("token", "subscribe", "unsubscribe")
LAST = "last_event_id"
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN.replace("$", r"\Z"))
_BROKEN_RULE = "must be 1 to 64 of A-Z a-z 0-9 . _ : -"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a client: `{"token": …}`, `{"subscribe": …}` or `{"unsubscribe": …}`."""

    verb: Verb
    value: str
    """The token, or the transaction."""
    last_event_id: str | None = None
    """With `subscribe`: the number of the last status that the client has seen."""


def parsed(text: str) -> Message:
    """Return a client's message; raise RefusedError, which names the field."""
    given = _object(text)
    verbs = [verb for verb in VERBS if verb in given]
    if not verbs:
        raise RefusedError(answers.missing_field("subscribe"))
    verb = verbs[0]
    allowed = {verb, LAST} if verb == "subscribe" else {verb}
    for name in given:
        if name not in allowed:
            raise RefusedError(answers.unknown_field(name))
    value, last = given[verb], given.get(LAST)
    if not isinstance(value, str) or not value:
        raise RefusedError(answers.invalid_field(verb, "must be a text"))
    if verb != "token" and not _IDENTIFIER.match(value):
        raise RefusedError(answers.invalid_field(verb, _BROKEN_RULE))
    if last is not None and not isinstance(last, int | str):
        raise RefusedError(answers.invalid_field(LAST, "must be the id of an event"))
    return Message(verb, value, None if last is None else str(last))


def _object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError(answers.malformed_json()) from None
    if not isinstance(given, dict):
        raise RefusedError(answers.malformed_json())
    return given


def status_text(event: ServerEvent) -> str:
    """Return a status as a message; its data is the body of a read."""
    return f'{{"event":"status","id":"{event.id}","data":{event.data}}}'


def error_text(answer: Answer, about: str | None = None) -> str:
    """Return a refusal as a message: the body that a request gets, and its status."""
    message: dict[str, Any] = {"event": "error", "status": answer.status, **json.loads(answer.body)}
    headers = dict(answer.headers)
    if "Retry-After" in headers:
        message["retry_after"] = int(headers["Retry-After"])
    if about is not None:
        message["transaction_id"] = about
    return text_of(**message)


def text_of(**fields: Any) -> str:
    """Return a message of these fields."""
    return json.dumps(fields, separators=(",", ":"))
