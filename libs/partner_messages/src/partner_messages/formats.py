"""The formats of a partner's messages: models to bytes, and bytes to models."""

from datetime import datetime
from typing import Literal, Protocol, TypeVar

from pydantic import ValidationError

from partner_messages.errors import Malformed
from partner_messages.fields import first_fault
from partner_messages.messages import Instruction, Message, Report, StatementPage

FormatName = Literal["json", "iso20022"]
MAX_BYTES = 1_000_000
"""Length of a value. Source: Kafka's usual bound of a record (`max.message.bytes`)."""


class Format(Protocol):
    """One format. Every `decode` raises Malformed and nothing else.

    Every `encode` raises Malformed where the format cannot express the message.
    """

    @property
    def content_type(self) -> str:
        """The record's header `content-type`."""

    def encode_instruction(self, instruction: Instruction) -> bytes:
        """Return the value of a record; equal instructions have equal bytes."""

    def decode_instruction(self, value: bytes) -> Instruction:
        """Parse and validate the value of a record."""

    def encode_report(self, report: Report, created_at: datetime | None = None) -> bytes:
        """Return the value of a record. ISO 20022 has the time at which it was written."""

    def decode_report(self, value: bytes) -> Report:
        """Parse and validate the value of a record."""

    def encode_statement(self, page: StatementPage, created_at: datetime | None = None) -> bytes:
        """Return the value of a record. ISO 20022 has the time at which it was written."""

    def decode_statement(self, value: bytes) -> StatementPage:
        """Parse and validate the value of a record."""


M = TypeVar("M", bound=Message)


class JsonFormat:
    """JSON as the models have it."""

    content_type = "application/json"

    def encode_instruction(self, instruction: Instruction) -> bytes:
        return _dumped(instruction)

    def decode_instruction(self, value: bytes) -> Instruction:
        return _loaded(Instruction, value)

    def encode_report(self, report: Report, created_at: datetime | None = None) -> bytes:
        del created_at
        return _dumped(report)

    def decode_report(self, value: bytes) -> Report:
        return _loaded(Report, value)

    def encode_statement(self, page: StatementPage, created_at: datetime | None = None) -> bytes:
        del created_at
        return _dumped(page)

    def decode_statement(self, value: bytes) -> StatementPage:
        return _loaded(StatementPage, value)


def format_of(name: FormatName) -> Format:
    """Return the format of a partner's profile."""
    match name:
        case "json":
            return JsonFormat()
        case "iso20022":
            # A partner that has JSON messages does not need the packages of XML.
            from partner_messages.iso20022 import IsoFormat  # noqa: PLC0415

            return IsoFormat()


def _dumped(message: Message) -> bytes:
    return message.model_dump_json().encode()


def _loaded(model: type[M], value: bytes) -> M:
    if len(value) > MAX_BYTES:
        raise Malformed("value", f"longer than {MAX_BYTES} bytes")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        raise first_fault(error) from None
