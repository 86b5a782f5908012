"""Cards: their numbers' rules and networks, and what may be shown of one. Pure.

Sources: ISO/IEC 7812-1 (length, check digit), the networks' published ranges, and for fields and
their forms native-payments-api.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.card_numbers import passes_luhn
from payment_schemas.sealed import Personal

_SEPARATORS = re.compile(r"[ -]")
_NUMBER = re.compile(r"[0-9]{12,19}", re.ASCII)
_MONTH = re.compile(r"0?[1-9]|1[0-2]", re.ASCII)
_YEAR = re.compile(r"20[0-9]{2}", re.ASCII)
_LONGEST_YEARS = 20
"""An expiry later than this is a mistake: no issuer gives such a card."""
_CVC_DIGITS = {"amex": 4}
FIELDS = frozenset({"cardNumber", "expiryMonth", "expiryYear", "cvc"})


class InvalidCardError(ValueError):
    """A card that no network has issued, or that has expired; `field` is the field's name.

    Its text has no digit of the card.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(rule)
        self.field = field


@dataclass(frozen=True, slots=True)
class _Range:
    """Prefixes from `first` to `last`, of one number of digits, and the lengths of numbers."""

    network: str
    first: int
    last: int
    lengths: frozenset[int]

    def has(self, number: str) -> bool:
        digits = len(str(self.first))
        return len(number) in self.lengths and self.first <= int(number[:digits]) <= self.last


_SIXTEEN = frozenset({16})
_LONG = frozenset(range(16, 20))
_RANGES = (
    # The narrower ranges first: Discover has a part of UnionPay's.
    _Range("amex", 34, 34, frozenset({15})),
    _Range("amex", 37, 37, frozenset({15})),
    _Range("diners", 300, 305, frozenset(range(14, 20))),
    _Range("diners", 36, 36, frozenset(range(14, 20))),
    _Range("diners", 38, 39, _LONG),
    _Range("jcb", 3528, 3589, _LONG),
    _Range("mastercard", 51, 55, _SIXTEEN),
    _Range("mastercard", 2221, 2720, _SIXTEEN),
    _Range("discover", 6011, 6011, _LONG),
    _Range("discover", 644, 649, _LONG),
    _Range("discover", 65, 65, _LONG),
    _Range("unionpay", 62, 62, _LONG),
    _Range("maestro", 5018, 5018, frozenset(range(12, 20))),
    _Range("maestro", 5020, 5020, frozenset(range(12, 20))),
    _Range("maestro", 5038, 5038, frozenset(range(12, 20))),
    _Range("maestro", 6304, 6304, frozenset(range(12, 20))),
    _Range("maestro", 6759, 6763, frozenset(range(12, 20))),
    _Range("visa", 4, 4, frozenset({13, 16, 19})),
)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The last month in which a card is valid."""

    month: int
    year: int

    def is_over(self, now: datetime) -> bool:
        """Whether the month has ended, in UTC."""
        return (self.year, self.month) < (now.year, now.month)


@dataclass(frozen=True, slots=True)
class CardData:
    """A card as its holder enters it. Number and code print as `***`."""

    number: Personal
    expiry: Expiry
    network: str
    code: Personal | None = None
    """The card verification code: for one authorisation, in memory alone. Source: PCI DSS 3.3.1."""

    @property
    def last4(self) -> str:
        """The last four digits, which may be shown."""
        return self.number.reveal()[-4:]


@dataclass(frozen=True, slots=True)
class Card:
    """A card of the vault, without its number."""

    id: UUID
    token: str
    user_id: str
    network: str
    last4: str
    expiry: Expiry
    fingerprint: str
    """The same for the same number, whatever its token; a keyed hash."""
    created_at: datetime
    deleted_at: datetime | None = None
    """When its owner has deleted it; its number and its fingerprint are gone since."""

    def shown(self) -> dict[str, Any]:
        """Return what its owner sees."""
        return {
            "token": self.token,
            "brand": self.network,
            "last4": self.last4,
            "expiryMonth": f"{self.expiry.month:02}",
            "expiryYear": str(self.expiry.year),
            "fingerprint": self.fingerprint,
            "createdAt": self.created_at,
        }


def network_of(number: str) -> str | None:
    """Return the network of a number by its length and prefix; None where it is nobody's."""
    return next((one.network for one in _RANGES if one.has(number)), None)


def card_of(fields: Mapping[str, Any], now: datetime) -> CardData:
    """Return the card of a request's fields; raise InvalidCardError with the field and the rule."""
    number = _SEPARATORS.sub("", _text(fields, "cardNumber"))
    if not _NUMBER.fullmatch(number):
        raise InvalidCardError("cardNumber", "must be 12 to 19 digits")
    if not passes_luhn(number):
        raise InvalidCardError("cardNumber", "its check digit is wrong")
    if (network := network_of(number)) is None:
        raise InvalidCardError("cardNumber", "is of no known network, or has not its length")
    return CardData(Personal(number), _expiry(fields, now), network, _code(fields, network))


def _expiry(fields: Mapping[str, Any], now: datetime) -> Expiry:
    month, year = _text(fields, "expiryMonth"), _text(fields, "expiryYear")
    if not _MONTH.fullmatch(month):
        raise InvalidCardError("expiryMonth", "must be 01 to 12")
    if not _YEAR.fullmatch(year) or int(year) > now.year + _LONGEST_YEARS:
        raise InvalidCardError("expiryYear", "must be a year of four digits, 20 from now at most")
    expiry = Expiry(int(month), int(year))
    if expiry.is_over(now):
        raise InvalidCardError("expiryYear", "the card has expired")
    return expiry


def _code(fields: Mapping[str, Any], network: str) -> Personal | None:
    if "cvc" not in fields:
        return None
    code, digits = _text(fields, "cvc"), _CVC_DIGITS.get(network, 3)
    if not (code.isascii() and code.isdigit() and len(code) == digits):
        raise InvalidCardError("cvc", f"must be {digits} digits")
    return Personal(code)


def _text(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        raise InvalidCardError(name, "is missing")
    value = fields[name]
    if type(value) is not str:
        raise InvalidCardError(name, "must be a text")
    return value
