"""Masks an event's data: only ids, amounts and known values of listed fields are shown."""

import json
import re
from typing import Any

from payment_schemas.ids import IDENTIFIER_PATTERN

HIDDEN = "***"
SHOWN = frozenset(
    {
        "payment_id",
        "user_id",
        "transaction_id",
        "request_id",
        "challenge_id",
        "delivery_id",
        "uetr",
        "reference",
        "bank_reference",
        "amount",
        "amount_minor",
        "amount_usd_minor",
        "currency",
        "from_account",
        "to_account",
        "debtor_account",
        "creditor_account",
        "partner",
        "version",
        "status",
        "result",
        "channel",
        "template",
        "score",
        "risk_score",
        "challenge_number",
        "retry_after_s",
        "reply_partition",
        "confirmed_at",
        "expires_at",
        "code_expires_at",
        "requested_at",
    }
)
"""Fields with an id, an amount, a time or a value of a fixed set."""
MOST_FIELDS = 50
_PLAIN = re.compile(IDENTIFIER_PATTERN)
_CODE = re.compile(r"^\d{6}$")


def masked(value: bytes | None) -> Any:
    """Return a record's masked value; of anything but a JSON object only the size."""
    if value is None:
        return "no value"
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return f"{len(value)} bytes, not JSON"
    if not isinstance(found, dict):
        return f"{len(value)} bytes, not an object"
    fields = list(found.items())
    shown = {_name(name): _shown(name, held) for name, held in fields[:MOST_FIELDS]}
    if len(fields) > MOST_FIELDS:
        shown["…"] = f"{len(fields) - MOST_FIELDS} more fields"
    return shown


def masked_text(text: str) -> str:
    """Return a word or an id unchanged; mask any other text."""
    return text if _PLAIN.fullmatch(text) and not _CODE.fullmatch(text) else HIDDEN


def _name(name: str) -> str:
    """A field's name may contain hidden data, too."""
    return name if name in SHOWN or (name.isidentifier() and len(name) <= 32) else HIDDEN


def _shown(name: str, held: Any) -> Any:
    if held is None or isinstance(held, bool):
        return held
    if name not in SHOWN or _may_be_a_code(held):
        return HIDDEN
    if isinstance(held, int | float):
        return held
    return held if isinstance(held, str) and _PLAIN.fullmatch(held) else HIDDEN


def _may_be_a_code(held: Any) -> bool:
    """Six digits as text may be a one-time code in the wrong field."""
    return isinstance(held, str) and _CODE.fullmatch(held) is not None
