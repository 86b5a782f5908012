"""What a condition may read: each name with its type and meaning.

The names are variables with dots, so that an unknown one is refused when a rule is saved. Amounts
are integers (decision 0044): whole US dollars rounded up, or minor units.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from cel_expr_python.cel import Type

Value = str | int | bool | datetime | list[str]
Facts = Mapping[str, Value]
"""Values by name. A condition that reads a name that is left out cannot be evaluated."""


class Field(NamedTuple):
    """A name that conditions read."""

    type: Type
    meaning: str


TEXT, NUMBER, FLAG = Type.STRING, Type.INT, Type.BOOL
FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "transaction.type": Field(TEXT, "TRANSFER; CRYPTO and others where a check states it"),
        "transaction.amount": Field(NUMBER, "whole US dollars, rounded up"),
        "transaction.amount_minor": Field(NUMBER, "minor units of the payment's currency"),
        "transaction.amount_usd_minor": Field(NUMBER, "US cents, rounded up"),
        "transaction.currency": Field(TEXT, "ISO 4217"),
        "transaction.at": Field(Type.TIMESTAMP, "when it was requested"),
        "user.id": Field(TEXT, "the payer"),
        "user.jurisdiction": Field(TEXT, "ISO 3166-1 alpha-2: where the payer's request is from"),
        "user.sanctionStatus": Field(TEXT, "CLEAR or HIT: the payer's account"),
        "user.kycStatus": Field(TEXT, "VERIFIED, PENDING, EXPIRED or REJECTED"),
        "user.monitored": Field(FLAG, "under monitoring (POST /compliance/monitor)"),
        "payee.account": Field(TEXT, "the account that is paid"),
        "payee.sanctionStatus": Field(TEXT, "CLEAR or HIT"),
        "history.payments_24h": Field(NUMBER, "the payer's confirmed payments of 24 hours before"),
        "history.amount_24h": Field(NUMBER, "their sum, in whole US dollars, rounded up"),
        "history.payee_known": Field(FLAG, "the payer has paid this account before"),
        "screening.hit": Field(FLAG, "either party is on a sanctions list"),
        "screening.match_score": Field(NUMBER, "0 to 100: the higher one of the parties"),
        "screening.list_version": Field(TEXT, "of the sanctions list"),
    }
)
EU_COUNTRIES = [
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE"),
    *("IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
]
"""Member states of the European Union since 2020, ISO 3166-1 alpha-2."""
CONSTANTS: Facts = MappingProxyType({"EU_COUNTRIES": EU_COUNTRIES})
TYPES: Mapping[str, Type] = MappingProxyType(
    {name: field.type for name, field in FIELDS.items()} | dict.fromkeys(CONSTANTS, Type.List(TEXT))
)
