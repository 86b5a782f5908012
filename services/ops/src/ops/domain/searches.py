"""What an operator searches payments for, read from a form. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from payment_schemas.money import DECIMALS, DEFAULT_CURRENCY, amount_minor_of

STATES = {
    "AWAITING_RISK": "awaiting risk",
    "CHALLENGING": "challenging",
    "AWAITING_CODE": "awaiting code",
    "VERIFYING": "verifying",
    "CONFIRMED": "confirmed",
    "DECLINED": "declined",
    "settlement:PENDING": "confirmed, not sent",
    "settlement:SENT": "confirmed, sent to the bank",
    "settlement:UNKNOWN": "confirmed, outcome unknown",
    "settlement:RECONCILE": "confirmed, with people",
    "settlement:SETTLED": "settled",
    "settlement:REJECTED": "rejected by the bank",
}
"""The states of a search: a payment's own, or that of its settlement."""
_TEXTS = ("id", "user_id", "account", "partner")
MOST_CHARACTERS = 128


class BadSearchError(ValueError):
    """A field of the search is not valid; the text names it and its rule."""


def asked_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that a search asks for; raise BadSearchError. Empty fields ask nothing."""
    given = {name: value.strip() for name, value in form.items() if value.strip()}
    long = [name for name, value in given.items() if len(value) > MOST_CHARACTERS * 4]
    if long:
        raise BadSearchError(f"{long[0]}: too long")
    asked: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    asked |= _state(given.get("state", ""))
    asked |= _amount(given.get("amount", ""), given.get("currency", ""))
    for name in ("since", "until"):
        if name in given:
            asked[name] = _moment(name, given[name])
    return asked


def _state(state: str) -> dict[str, str]:
    if not state:
        return {}
    if state not in STATES:
        raise BadSearchError("state: unknown")
    kind, _, settlement_status = state.partition(":")
    return {"settlement_status": settlement_status} if settlement_status else {"status": kind}


def _amount(amount: str, currency: str) -> dict[str, Any]:
    currency = currency.upper()
    if currency and currency not in DECIMALS:
        raise BadSearchError(f"currency: {currency[:8]} is no ISO 4217 code, such as USD")
    asked: dict[str, Any] = {"currency": currency} if currency else {}
    if amount:
        plain = amount.replace(",", "")
        try:
            asked["amount_minor"] = amount_minor_of(plain, currency or DEFAULT_CURRENCY)
        except ValueError as error:
            raise BadSearchError(f"amount: {error}, such as 5200.00") from None
        asked["currency"] = currency or DEFAULT_CURRENCY
    return asked


def _moment(name: str, text: str) -> str:
    """Return a time in UTC; one without a zone is in UTC, and a day as an end is that day's end."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadSearchError(f"{name}: must be a time, such as 2026-11-30T08:00") from None
    if name == "until" and len(text) == len("2026-11-30"):
        found += timedelta(days=1)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
