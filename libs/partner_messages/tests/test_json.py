"""Messages as JSON: what a bank may write, and what is refused by the name of its field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_messages.errors import Malformed
from partner_messages.formats import MAX_BYTES, JsonFormat
from partner_messages.messages import MAX_ENTRIES, Status
from testkit.partners import entry, instruction, instructions, page, pages, report, reports

FORMAT = JsonFormat()
REPORT = json.loads(FORMAT.encode_report(report()))
PAGE = json.loads(FORMAT.encode_statement(page(entry())))
INSTRUCTION = json.loads(FORMAT.encode_instruction(instruction()))


def test_an_instruction_has_the_fields_of_the_contract():
    assert INSTRUCTION == {
        "uetr": "8a562c67-ca16-48ba-b074-65581be6f011",
        "end_to_end_id": "tx-1",
        "amount": "5200.00",
        "currency": "USD",
        "debtor": {"account": "acc-1", "agent": "countersign"},
        "creditor": {"account": "south-payee-1", "agent": "south-bank"},
        "requested_at": "2026-03-09T12:00:00Z",
        "expires_at": None,
    }


@given(instructions())
def test_an_instruction_is_read_as_it_was_written(one):
    assert FORMAT.decode_instruction(FORMAT.encode_instruction(one)) == one


@given(reports())
def test_a_report_is_read_as_it_was_written(one):
    assert FORMAT.decode_report(FORMAT.encode_report(one)) == one


@given(pages())
def test_a_statement_is_read_as_it_was_written(one):
    assert FORMAT.decode_statement(FORMAT.encode_statement(one)) == one


def test_unknown_fields_are_ignored():
    raw = json.dumps(REPORT | {"remark": {"from": "a later version"}}).encode()
    assert FORMAT.decode_report(raw) == report()


def test_a_report_may_leave_out_what_it_does_not_know():
    raw = json.dumps({"uetr": REPORT["uetr"], "status": "PENDING"}).encode()
    assert FORMAT.decode_report(raw).status is Status.PENDING


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"uetr": None}, "uetr", id="no uetr"),
        pytest.param({"uetr": "8a562c67-ca16-18ba-b074-65581be6f011"}, "uetr", id="a UUID of time"),
        pytest.param({"status": "DONE"}, "status", id="an unknown status"),
        pytest.param({"status": "REJECTED", "booked_at": None}, "reason", id="no reason"),
        pytest.param({"reason": "AC04"}, "reason", id="a reason of an accepted transfer"),
        pytest.param({"reason": "closed account"}, "reason", id="prose as the reason"),
        pytest.param({"status": "PENDING"}, "booked_at", id="booked and pending"),
        pytest.param({"bank_reference": "Jane Doe"}, "bank_reference", id="a name as reference"),
        pytest.param({"bank_reference": "B-1\n"}, "bank_reference", id="a reference and a line"),
        pytest.param({"booked_at": "2026-03-09T12:00:00"}, "booked_at", id="a time without zone"),
        pytest.param({"booked_at": 1773057600}, "booked_at", id="a number as the time"),
        pytest.param({"booked_at": "0001-01-01T00:00:00+14:00"}, "booked_at", id="before time"),
    ],
)
def test_a_report_that_breaks_a_rule_names_the_field(changed, field):
    with pytest.raises(Malformed) as refused:
        FORMAT.decode_report(json.dumps(REPORT | changed).encode())
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"currency": "EURO"}, "entries.0.currency", id="no currency"),
        pytest.param({"amount": "1.001"}, "entries.0.amount", id="too many decimals"),
        pytest.param({"amount": "-5200.00"}, "entries.0.amount", id="a negative amount"),
        pytest.param({"amount": 5200}, "entries.0.amount", id="a number"),
        pytest.param({"amount": "0.00"}, "entries.0.amount", id="nothing"),
        pytest.param({"is_reversal": "no"}, "entries.0.is_reversal", id="a text for a truth"),
        pytest.param({"bank_reference": None}, "entries.0.bank_reference", id="no reference"),
    ],
)
def test_a_statements_entry_that_breaks_a_rule_names_the_field(changed, field):
    with pytest.raises(Malformed) as refused:
        FORMAT.decode_statement(
            json.dumps(PAGE | {"entries": [PAGE["entries"][0] | changed]}).encode()
        )
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"page": 0}, "page"),
        ({"page": 100_000}, "page"),
        ({"day": "2026-02-30"}, "day"),
        ({"entries": PAGE["entries"] * (MAX_ENTRIES + 1)}, "entries"),
        ({"statement_id": "x" * 36}, "statement_id"),
    ],
)
def test_a_statements_page_that_breaks_a_rule_names_the_field(changed, field):
    with pytest.raises(Malformed) as refused:
        FORMAT.decode_statement(json.dumps(PAGE | changed).encode())
    assert refused.value.field == field


def test_the_longest_page_fits_into_a_record():
    long = entry(bank_reference="B" * 64, amount="999999999999.9999", currency="CLF")
    value = FORMAT.encode_statement(page(*[long] * MAX_ENTRIES))
    assert len(value) < MAX_BYTES / 2
    assert len(FORMAT.decode_statement(value).entries) == MAX_ENTRIES


@pytest.mark.parametrize(
    "value", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (MAX_BYTES + 1)]
)
def test_what_is_no_json_object_is_malformed(value):
    for decode in (FORMAT.decode_report, FORMAT.decode_statement, FORMAT.decode_instruction):
        with pytest.raises(Malformed) as refused:
            decode(value)
        assert refused.value.field == "value"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)


@given(st.sampled_from([REPORT, PAGE, INSTRUCTION]), st.data())
def test_no_value_of_a_field_makes_a_parser_fail_in_another_way(message, data):
    name = data.draw(st.sampled_from(sorted(message)))
    value = json.dumps(message | {name: data.draw(JSON)}).encode()
    for decode in (FORMAT.decode_report, FORMAT.decode_statement, FORMAT.decode_instruction):
        try:
            decode(value)
        except Malformed as refused:
            assert refused.field  # noqa: PT017 - both outcomes are right


@given(st.binary())
def test_no_bytes_make_a_parser_fail_in_another_way(value):
    with pytest.raises(Malformed):
        FORMAT.decode_report(value)
