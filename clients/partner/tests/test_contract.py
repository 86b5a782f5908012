"""The kit agrees with Countersign about signatures, though it shares no code with it."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from countersign_partner.formats import Malformed
from countersign_partner.formats import Report as KitReport
from countersign_partner.formats import format_of as kit_format
from countersign_partner.properties import partner_of
from countersign_partner.records import read_instruction, signed_headers
from countersign_partner.signing import BadSignature, SigningKey, verify
from partner_messages.formats import format_of
from partner_messages.keys import Keys
from partner_messages.messages import Party
from partner_messages.records import Attributes, verified
from partner_messages.records import signed_headers as headers_of_countersign
from testkit.partners import NOON, OURS, UETR, instruction

CONTRACT = Path(__file__).parent.parent / "contract"
SAMPLES = sorted(CONTRACT.glob("samples/[0-9]*.json"))
TOPIC = "settlement.instructions.south-bank.v1"
KEY = SigningKey.new("bank-1")
LONG = {
    "end_to_end_id": "e" * 64,
    "creditor": Party(account="south-" + "c" * 50, agent="south-bank"),
}


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_the_kit_verifies_each_sample_of_the_contract(file):
    sample = json.loads(file.read_text())
    senders = json.loads((CONTRACT / "samples" / "keys.json").read_text())
    is_ours = sample["headers"]["ce_source"].startswith("/countersign/")
    jwks = senders["countersign" if is_ours else "sample-bank"]
    value = sample["value"].encode()
    now = datetime.fromisoformat(sample["headers"]["ce_time"])
    assert verify(value, topic=sample["topic"], headers=sample["headers"], jwks=jwks, now=now)
    with pytest.raises(BadSignature):
        verify(value, topic="other", headers=sample["headers"], jwks=jwks, now=now)


def test_countersign_takes_what_the_kit_signs():
    headers = signed_headers(
        b"{}", topic=TOPIC, ce_type="settlement.report.v1", source="/partners/x", key=KEY, now=NOON
    )
    keys = Keys.of_jwks({"keys": [KEY.jwk()]})
    assert verified(TOPIC, headers, b"{}", keys, NOON).time == NOON


def record(value):
    attributes = Attributes(UUID(int=1), "settlement.instruction.v1", "/countersign", NOON)
    headers = headers_of_countersign(TOPIC, value, attributes, "application/json", OURS)
    return SimpleNamespace(topic=TOPIC, value=value, headers=headers)


JWKS = Keys.of([OURS.public()]).jwks()


def test_the_kit_takes_what_countersign_signs():
    sample = json.loads((CONTRACT / "samples" / "1-instruction.json").read_text())
    found = read_instruction(record(sample["value"].encode()), JWKS, NOON)
    assert found.uetr == json.loads(sample["value"])["uetr"]


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"uetr":1}'])
def test_a_signed_value_that_is_no_instruction_is_malformed(value):
    with pytest.raises(Malformed):
        read_instruction(record(value), JWKS, NOON)


def test_properties_are_read_as_java_does(tmp_path):
    file = tmp_path / "partner.properties"
    file.write_text(
        "# of the bank\nbootstrap.servers=localhost:9092\nsecurity.protocol = SASL_PLAINTEXT\n"
        "sasl.mechanism=SCRAM-SHA-512\ngroup.id=partner-x.main\n"
        'sasl.jaas.config=a.b.ScramLoginModule required username="partner-x" password="wrong";\n'
        "countersign.partner=x\ncountersign.instructions.topic=i\ncountersign.reports.topic=r\n"
        "countersign.jwks.url=http://localhost/jwks.json\n"
    )
    partner = partner_of(file)
    assert (partner.id, partner.group) == ("x", "partner-x.main")
    assert partner.kafka["sasl_plain_password"] == "wrong"
    file.write_text("group.id=g\n")
    with pytest.raises(ValueError, match=r"countersign\.partner: missing"):
        partner_of(file)


def test_a_key_is_read_as_it_was_written_and_never_written_over(tmp_path):
    file = tmp_path / "bank-1.pem"
    KEY.write(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert SigningKey.read("bank-1", file).jwk() == KEY.jwk()
    with pytest.raises(FileExistsError):
        KEY.write(file)


@pytest.mark.parametrize("name", ["json", "iso20022"])
@pytest.mark.parametrize("fields", [{}, LONG, {"expires_at": NOON + timedelta(hours=20)}])
def test_the_kit_reads_what_countersign_writes_in_each_format(name, fields):
    ours = instruction(**fields)
    theirs = kit_format(name).read_instruction(format_of(name).encode_instruction(ours))
    assert theirs.uetr == str(ours.uetr)
    assert (theirs.end_to_end_id, theirs.creditor) == (ours.end_to_end_id, ours.creditor.account)
    assert (str(theirs.amount), theirs.currency) == (ours.amount, ours.currency)
    assert (theirs.requested_at, theirs.expires_at) == (ours.requested_at, ours.expires_at)


@pytest.mark.parametrize("name", ["json", "iso20022"])
@pytest.mark.parametrize("status", ["ACCEPTED", "PENDING", "REJECTED"])
def test_countersign_reads_the_reports_that_the_kit_writes_in_each_format(name, status):
    booked_at = NOON.isoformat() if status == "ACCEPTED" else None
    reason = "AC04" if status == "REJECTED" else None
    theirs = KitReport(str(UETR), status, reason, "B-1", booked_at)
    value = kit_format(name).write_report(theirs)
    ours = format_of(name).decode_report(value)
    assert (ours.uetr, ours.status, ours.reason) == (UETR, status, reason)
    assert (ours.bank_reference, ours.booked_at) == ("B-1", NOON if booked_at else None)
    assert kit_format(name).read_report(value) == theirs


@pytest.mark.parametrize("name", ["json", "iso20022"])
def test_the_sandbox_writes_what_countersign_would(name):
    ours = instruction(expires_at=NOON + timedelta(hours=20))
    fields = json.loads(ours.model_dump_json()) | {"remark": "of a later version"}
    value = kit_format(name).write_instruction(fields)
    assert format_of(name).decode_instruction(value) == ours


@pytest.mark.parametrize(
    "value",
    [b"", b"<", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff", b"<a>" * 10_000],
)
def test_what_is_no_iso_instruction_is_malformed(value):
    with pytest.raises(Malformed):
        kit_format("iso20022").read_instruction(value)


def test_an_iso_instruction_whose_uetr_is_none_is_malformed():
    value = format_of("iso20022").encode_instruction(instruction())
    with pytest.raises(Malformed):
        kit_format("iso20022").read_instruction(value.replace(str(UETR).encode(), b"1"))


def test_a_format_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="must be json or iso20022"):
        kit_format("xml")
