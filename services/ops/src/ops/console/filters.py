"""How values are written on pages: times, amounts, words."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from ops.domain.amounts import money

NOTHING = "\N{EN DASH}"
_TONES = {
    "CONFIRMED": "good",
    "SETTLED": "good",
    "CAPTURED": "good",
    "SUCCEEDED": "good",
    "WON": "good",
    "LIVE": "good",
    "DELIVERED": "good",
    "ACCEPTED": "good",
    "VERIFIED": "good",
    "VERIFIED_ONCE": "good",
    "DECLINED": "bad",
    "REJECTED": "bad",
    "FAILED": "bad",
    "LOST": "bad",
    "UNKNOWN": "warn",
    "HELD": "warn",
    "RECONCILE": "warn",
    "PROPOSED": "warn",
    "OPEN": "warn",
}
"""By a state's name; any other is neutral."""


def when(value: Any) -> Markup | str:
    """Return a time: the browser shows it relative, and exact on hover, in the reader's zone."""
    moment = moment_of(value)
    if moment is None:
        return NOTHING
    utc = moment.astimezone(UTC)
    exact = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), exact, exact
    )


def moment_of(value: Any) -> datetime | None:
    """Return a time of a row; None where there is none."""
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None


def amount(row: Mapping[str, Any]) -> Markup | str:
    """Return a row's amount with its currency, aligned by the page's style."""
    currency = str(row.get("currency"))
    if "amount_minor" in row:
        digits = money(int(row["amount_minor"]), currency).removesuffix(f" {currency}")
    else:
        digits = str(row.get("amount") or "")
    if not digits:
        return NOTHING
    return Markup('<span class="amount">{} <span class="currency">{}</span></span>').format(
        _grouped(digits), currency
    )


def _grouped(digits: str) -> str:
    """Return digits in groups of three before the point: `5,200.00`."""
    whole, point, rest = digits.partition(".")
    return f"{int(whole):,}{point}{rest}" if whole.lstrip("-").isdigit() else digits


def state(value: Any) -> Markup | str:
    """Return a state as a word with a tone; never by colour alone."""
    if not value:
        return NOTHING
    tone = _TONES.get(str(value), "calm")
    words = str(value).replace("_", " ").lower()
    return Markup('<span class="state {}">{}</span>').format(tone, words)


def words(value: Any) -> str:
    """Return a name of the code as words."""
    return str(value).replace("_", " ")


def given(value: Any) -> Any:
    """Return a value, or a dash for none."""
    return NOTHING if value is None or value == "" else value


FILTERS: Mapping[str, Callable[..., Any]] = {
    "when": when,
    "amount": amount,
    "state": state,
    "words": words,
    "given": given,
}
