"""Validation of the body of `POST /payment/confirm`.

It is in this library because confirm validates encrypted requests with it.
Order of refusals: malformed JSON, unknown field, missing field, invalid field.
"""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar, get_args

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.ids import sound_identifier, without_card_number
from payment_schemas.money import DECIMALS, DEFAULT_CURRENCY, Instrument, amount_minor_of
from payment_schemas.names import person_name
from payment_schemas.sealed import Personal

MAX_BODY_BYTES = 16 * 1024
FIELDS = (
    "transaction_id",
    "idempotency_key",
    "amount",
    "currency",
    "from_account",
    "to_account",
    "to_name",
    "otp_code",
    "instrument",
    "branch",
)
_IDEMPOTENCY_KEY = re.compile(r"^[\x20-\x7e]{1,255}\Z")
_UUID4 = re.compile(
    r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z", re.IGNORECASE
)
T = TypeVar("T")
_CODE = re.compile(r"^[0-9]{6}\Z")


@dataclass(frozen=True, slots=True)
class ConfirmBody:
    """A valid request. An omitted field is None; `amount` is in major units of `currency`."""

    transaction_id: str
    idempotency_key: str
    amount: Decimal | None
    currency: str | None
    from_account: str | None
    to_account: str | None
    otp_code: str | None
    to_name: Personal | None = None
    """The payee's name; its sanctions are screened."""
    instrument: Instrument | None = None
    """None: the account's balance."""
    branch: str | None = None
    """Where cash was handed in."""


def parse_confirm_body(
    raw: bytes,
    header_key: str | None = None,
    *,
    strict_keys: bool = False,
    keys_differ: bool = False,
    currencies: Collection[str] = DECIMALS.keys(),
) -> ConfirmBody:
    """Read a request body; raise RefusedError with the exact refusal.

    `header_key` is the Idempotency-Key header; `keys_differ`: two such headers had other values;
    `strict_keys` requires a UUIDv4; `currencies` are those that the platform can score.
    """
    return confirm_body_of(
        json_object(raw),
        header_key,
        strict_keys=strict_keys,
        keys_differ=keys_differ,
        currencies=currencies,
    )


def confirm_body_of(
    fields: dict[str, Any],
    header_key: str | None = None,
    *,
    strict_keys: bool = False,
    keys_differ: bool = False,
    currencies: Collection[str] = DECIMALS.keys(),
) -> ConfirmBody:
    """Read the fields that `json_object` returns, as `parse_confirm_body` does."""
    for name in fields:
        if name not in FIELDS:
            raise RefusedError(answers.unknown_field(name))
    body_key = fields.get("idempotency_key")
    key = header_key if body_key is None else body_key
    _require(fields.get("transaction_id"), "transaction_id")
    _require(key, "idempotency_key")
    if keys_differ:
        raise _invalid("idempotency_key", "given twice")
    if header_key is not None and key != header_key:
        raise _invalid("idempotency_key", "must agree with the Idempotency-Key header")
    body = ConfirmBody(
        transaction_id=_identifier(fields, "transaction_id"),
        idempotency_key=_valid_key(key, strict=strict_keys),
        amount=_amount(fields),
        currency=_currency(fields, currencies),
        from_account=_account(fields, "from_account"),
        to_account=_account(fields, "to_account"),
        otp_code=_code(fields),
        to_name=_payee_name(fields),
        instrument=_instrument(fields),
        branch=_account(fields, "branch"),
    )
    if body.from_account is not None and body.from_account == body.to_account:
        raise _invalid("to_account", "must differ from from_account")
    return body


def header_key_of(key: str | None, *, strict_keys: bool, keys_differ: bool) -> str:
    """Return the Idempotency-Key header where the request cannot do without; raise RefusedError."""
    _require(key, "idempotency_key")
    if keys_differ:
        raise _invalid("idempotency_key", "given twice")
    return _valid_key(key, strict=strict_keys)


def identifier_of(fields: dict[str, Any], name: str) -> str:
    """Return a required identifier; raise RefusedError, which names the field."""
    _require(fields.get(name), name)
    return _identifier(fields, name)


def _invalid(name: str, details: str) -> RefusedError:
    return RefusedError(answers.invalid_field(name, details))


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # With a name twice, two parsers could read two different payments from one body.
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("duplicate name")
    return fields


def json_object(raw: bytes) -> dict[str, Any]:
    """Return a JSON object whose numbers are `JsonNumber`; raise RefusedError.

    A name that comes twice, NaN and Infinity are refused.
    """
    try:
        # Numbers stay text: an amount must never become a binary float.
        fields = json.loads(
            raw.decode("utf-8"),
            parse_float=JsonNumber,
            parse_int=JsonNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError):
        raise RefusedError(answers.malformed_json()) from None
    if not isinstance(fields, dict):
        raise RefusedError(answers.malformed_json())
    return fields


class JsonNumber(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _require(value: object, name: str) -> None:
    if value is None:
        raise RefusedError(answers.missing_field(name))


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, str) or isinstance(value, JsonNumber)):
        raise _invalid(name, "must be a string")
    return value


def _valid_key(key: Any, *, strict: bool) -> str:
    if not isinstance(key, str) or isinstance(key, JsonNumber) or not _IDEMPOTENCY_KEY.match(key):
        raise _invalid("idempotency_key", "must be 1 to 255 printable ASCII characters")
    if strict and not _UUID4.match(key):
        raise _invalid("idempotency_key", "must be a UUIDv4")
    return _named("idempotency_key", without_card_number, key)


def _named(name: str, rule: Callable[[str], T], text: str) -> T:
    """Apply a rule; a refusal names the field."""
    try:
        return rule(text)
    except ValueError as broken:
        raise _invalid(name, str(broken)) from None


def _identifier(fields: dict[str, Any], name: str) -> str:
    return _named(name, sound_identifier, _text(fields, name) or "")


def _account(fields: dict[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else _identifier(fields, name)


def _currency(fields: dict[str, Any], supported: Collection[str]) -> str | None:
    currency = _text(fields, "currency")
    if currency is not None and currency not in DECIMALS:
        raise _invalid("currency", "must be an ISO 4217 currency code")
    if currency is not None and currency not in supported:
        raise _invalid("currency", "is not supported")
    return currency


def _amount(fields: dict[str, Any]) -> Decimal | None:
    value = fields.get("amount")
    if value is None:
        return None
    currency = fields.get("currency")
    known = currency if isinstance(currency, str) and currency in DECIMALS else DEFAULT_CURRENCY
    written = value if isinstance(value, str) else ""
    _named("amount", lambda text: amount_minor_of(text, known), written)
    return Decimal(written)


def _payee_name(fields: dict[str, Any]) -> Personal | None:
    name = _text(fields, "to_name")
    return None if name is None else _named("to_name", person_name, name)


def _instrument(fields: dict[str, Any]) -> Instrument | None:
    given, known = _text(fields, "instrument"), get_args(Instrument)
    if given is not None and given not in known:
        raise _invalid("instrument", f"must be one of {', '.join(known)}")
    return next((one for one in known if one == given), None)


def _code(fields: dict[str, Any]) -> str | None:
    code = _text(fields, "otp_code")
    if code is not None and not _CODE.match(code):
        raise _invalid("otp_code", "must be 6 digits")
    return code
