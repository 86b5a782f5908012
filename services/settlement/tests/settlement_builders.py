"""Builders of instructions and requests; a test names only the fields that matter."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from partner_messages.formats import format_of
from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import Report, StatementPage, reports_topic
from partner_messages.messages import Status as ReportStatus
from partner_messages.records import Attributes, signed_headers
from payment_schemas.events.settlement import SettlementRequested
from payment_schemas.ids import Uetr, payment_id_of
from service_runtime.keys import KeyRing
from service_runtime.messages import ProducerRecord
from settlement.domain import FINAL, Instruction, NextStep, Status, instruct
from settlement.domain.partners import KafkaPartner

OUR_KEYS = KeyRing(bytes([7]) * 32)
BANK_KEY = SigningKey.of_seed("bank", bytes([8]) * 32)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def requested(number: int = 1, payee: str = "payee-xyz", **fields: Any) -> SettlementRequested:
    transaction_id = f"tx-{number}"
    return SettlementRequested(
        **{
            "payment_id": payment_id_of("usr-456", transaction_id),
            "user_id": "usr-456",
            "transaction_id": transaction_id,
            "uetr": Uetr(UUID(int=number, version=4)),
            "amount_minor": 520_000,
            "currency": "USD",
            "debtor_account": "acc-1",
            "creditor_account": payee,
            "confirmed_at": NOW,
            **fields,
        }
    )


def instruction(number: int = 1, payee: str = "payee-xyz", **fields: Any) -> Instruction:
    """A new instruction; `status` also sets the fields that must agree with it."""
    status = fields.get("status", Status.QUEUED)
    if status is not Status.QUEUED:
        fields = {"next_step": NextStep.ENQUIRE, "version": 3, **fields}
    if status in FINAL:
        fields = {"due_at": None, **fields}
    return replace(instruct(requested(number, payee), "first-bank", NOW), **fields)


def kafka_partner(partner: str = "kafka-bank", **fields: Any) -> KafkaPartner:
    """A partner bank on Kafka that holds the accounts `<partner>-…`."""
    return KafkaPartner(
        **{
            "partner": partner,
            "format": "json",
            "partitions": 1,
            "account_prefixes": (f"{partner}-",),
            "answer_within_s": 60,
            "enquire_after_s": 300,
            "keys": Keys.of([BANK_KEY.public()]).jwks(),
            **fields,
        }
    )


def report(number: int = 1, status: str = "ACCEPTED", **fields: Any) -> Report:
    """A report about the instruction with that number."""
    if status == "REJECTED":
        fields = {"reason": "AC04", **fields}
    return Report(uetr=requested(number).uetr, status=ReportStatus(status), **fields)


def from_bank(message: Report | StatementPage | bytes, **changes: Any) -> ProducerRecord:
    """A bank's signed record; `signed_topic` and `key` tell what it was signed for and with."""
    partner = changes.get("partner", "kafka-bank")
    topic = reports_topic(partner)
    form, ce_type = format_of("json"), changes.get("ce_type", Report.ce_type)
    if isinstance(message, bytes):
        value = message
    elif isinstance(message, Report):
        value = form.encode_report(message)
    else:
        value, ce_type = form.encode_statement(message), StatementPage.ce_type
    attributes = Attributes(
        changes.get("event_id", uuid4()),
        ce_type,
        f"/partners/{partner}",
        changes.get("time", NOW),
        changes.get("trace", ()),
    )
    headers = signed_headers(
        changes.get("signed_topic", topic),
        value,
        attributes,
        form.content_type,
        changes.get("key", BANK_KEY),
    )
    return ProducerRecord(topic, b"key", changes.get("value", value), headers)
