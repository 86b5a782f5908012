"""The formats of messages: the property `countersign.format` says which one a bank has."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

STATUSES = ("ACCEPTED", "PENDING", "REJECTED")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Malformed(ValueError):  # noqa: N818 - it names what the message is
    """The message breaks its schema. Log it, report it to an operator and go on."""


@dataclass(frozen=True)
class Instruction:
    """One transfer that the bank is asked for. Unknown fields are ignored."""

    uetr: str
    """The idempotency key: one UETR is one transfer, however often it arrives."""
    end_to_end_id: str
    amount: Decimal
    currency: str
    debtor: str
    creditor: str
    requested_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Report:
    """What has become of a transfer."""

    uetr: str
    status: str
    """One of STATUSES."""
    reason: str | None
    bank_reference: str | None
    booked_at: str | None


class Format(Protocol):
    """One format."""

    @property
    def name(self) -> str:
        """The value of `countersign.format`."""

    @property
    def content_type(self) -> str:
        """The record's header `content-type`."""

    def read_instruction(self, value: bytes) -> Instruction:
        """Return the instruction of a record's value. Raises Malformed and nothing else."""

    def write_report(self, report: Report) -> bytes:
        """Return the value of a report's record."""

    def write_instruction(self, fields: dict[str, Any]) -> bytes:
        """Return the value of an instruction's record, as Countersign writes it."""

    def read_report(self, value: bytes) -> Report:
        """Return the report of a record's value. Raises ValueError or AttributeError."""


class JsonFormat:
    """`json`: the schemas of `contract/schemas`."""

    name = "json"
    content_type = "application/json"

    def read_instruction(self, value: bytes) -> Instruction:
        try:
            return instruction_of(json.loads(value))
        except (KeyError, TypeError, RecursionError, ValueError) as error:
            raise Malformed(f"{type(error).__name__}: {error}") from None

    def write_report(self, report: Report) -> bytes:
        return json.dumps(asdict(report)).encode()

    def write_instruction(self, fields: dict[str, Any]) -> bytes:
        return json.dumps(fields).encode()

    def read_report(self, value: bytes) -> Report:
        found = json.loads(value)
        names = ("uetr", "status", "reason", "bank_reference", "booked_at")
        return Report(**{name: found.get(name) for name in names})


JSON = JsonFormat()


def format_of(name: str) -> Format:
    """Return a format. Raises ValueError where it is unknown, or its packages are missing."""
    if name == "json":
        return JSON
    if name != "iso20022":
        raise ValueError(f"countersign.format: {name!r} must be json or iso20022")
    try:
        # Banks that have JSON do not need the packages.
        from countersign_partner.iso20022 import IsoFormat  # noqa: PLC0415
    except ImportError as error:
        raise ValueError(f"{error.name} is missing: pip install '.[iso20022]'") from None
    return IsoFormat()


def instruction_of(found: Any) -> Instruction:
    """Return the instruction of a JSON object. Raises what breaks it."""
    if not isinstance(found, dict):
        raise TypeError("must be an object")
    expires_at = found.get("expires_at")
    if not _AMOUNT.fullmatch(found["amount"]) or not _CURRENCY.fullmatch(found["currency"]):
        raise ValueError("amount: must be decimal text and a currency")
    return Instruction(
        uetr=str(UUID(hex=found["uetr"])),
        end_to_end_id=str(found["end_to_end_id"]),
        amount=Decimal(found["amount"]),
        currency=found["currency"],
        debtor=found["debtor"]["account"],
        creditor=found["creditor"]["account"],
        requested_at=time_of(found["requested_at"]),
        expires_at=None if expires_at is None else time_of(expires_at),
    )


def time_of(text: str) -> datetime:
    """Return a time with its zone. Raises ValueError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time has no zone")
    return time
