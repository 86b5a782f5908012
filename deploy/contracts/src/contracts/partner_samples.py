"""The contract of a partner bank as files, for a bank `sample-bank`: clients/partner/contract.

asyncapi-sample-bank.yaml, schemas/*.json   as `countersign partners add` writes them
samples/*.json                              five signed messages; samples/keys.json verifies them
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid5

from kafka_access.partners import Names
from local_stack.layout import CHECKOUT
from ops.clients.partner_contract import contract_files
from ops.clients.partner_files import Connection
from ops.domain.partners import Profile
from partner_messages.formats import JsonFormat
from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import (
    Instruction,
    Party,
    Report,
    StatementEntry,
    StatementPage,
    Status,
)
from partner_messages.records import Attributes, signed_headers

FOLDER = CHECKOUT / "clients" / "partner" / "contract"
BANK = "sample-bank"
# Both are public here: they sign samples alone.
OUR_KEY = SigningKey.of_seed("countersign-sample", b"countersign sample signing key 1")
BANK_KEY = SigningKey.of_seed("sample-bank-1", b"the sample bank's signing key 01")
_NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
_UETRS = tuple(UUID(f"8a562c67-ca16-48ba-b074-65581be6f01{number}") for number in (1, 2, 3))
_AMOUNT, _CURRENCY = "5200.00", "USD"
Message = Instruction | Report | StatementPage


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, its writer and its key."""

    name: str
    message: Message
    key: str

    def record(self) -> dict[str, object]:
        """Return the record; the value is text in UTF-8."""
        json_format, is_ours = JsonFormat(), isinstance(self.message, Instruction)
        match self.message:
            case Instruction():
                value = json_format.encode_instruction(self.message)
            case Report():
                value = json_format.encode_report(self.message)
            case StatementPage():
                value = json_format.encode_statement(self.message)
        topic = Names(BANK).instructions if is_ours else Names(BANK).reports
        attributes = Attributes(
            id=uuid5(_UETRS[0], self.name),
            type=self.message.ce_type,
            source="/countersign/settlement" if is_ours else f"/partners/{BANK}",
            time=_NOON,
        )
        headers = signed_headers(
            topic, value, attributes, json_format.content_type, OUR_KEY if is_ours else BANK_KEY
        )
        texts = {name: raw.decode() for name, raw in headers}
        return {"topic": topic, "key": self.key, "headers": texts, "value": value.decode()}


def samples() -> tuple[Sample, ...]:
    """Return an instruction, a report of each status, and a page of a statement."""
    instruction = Instruction(
        uetr=_UETRS[0],
        end_to_end_id="tx-1",
        amount=_AMOUNT,
        currency=_CURRENCY,
        debtor=Party(account="acc-1", agent="countersign"),
        creditor=Party(account="sample-payee-1", agent=BANK),
        requested_at=_NOON,
    )
    reports = {
        "2-accepted": Report(
            uetr=_UETRS[0], status=Status.ACCEPTED, bank_reference="B-1", booked_at=_NOON
        ),
        "3-pending": Report(uetr=_UETRS[1], status=Status.PENDING),
        "4-rejected": Report(uetr=_UETRS[2], status=Status.REJECTED, reason="AC04"),
    }
    entry = StatementEntry(
        uetr=_UETRS[0],
        amount=_AMOUNT,
        currency=_CURRENCY,
        bank_reference="B-1",
        booked_at=_NOON,
    )
    page = StatementPage(
        statement_id="S-2026-03-09", day=date(2026, 3, 9), page=1, is_last=True, entries=(entry,)
    )
    return (
        Sample("1-instruction", instruction, str(instruction.uetr)),
        *(Sample(name, report, str(report.uetr)) for name, report in reports.items()),
        Sample("5-statement", page, page.statement_id),
    )


def sample_files() -> Mapping[Path, str]:
    """Return the text of each file of the contract."""
    keys = {
        "countersign": Keys.of([OUR_KEY.public()]).jwks(),
        BANK: Keys.of([BANK_KEY.public()]).jwks(),
    }
    profile = Profile(
        partner=BANK,
        format="json",
        partitions=4,
        account_prefixes=("sample-",),
        answer_within_s=60,
        enquire_after_s=300,
        keys=keys[BANK],
    )
    connection = Connection("kafka.example:9093", "ca.pem", "https://countersign.example")
    texts = contract_files(profile, connection)
    texts |= {f"samples/{one.name}.json": _json(one.record()) for one in samples()}
    texts["samples/keys.json"] = _json(keys)
    return {FOLDER / name: text for name, text in texts.items()}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
