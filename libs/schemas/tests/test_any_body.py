"""Any body is parsed or refused, within a bounded time."""

import gc
import json
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_schemas.answers import RefusedError
from payment_schemas.confirm_body import FIELDS, parse_confirm_body
from payment_schemas.money import DECIMALS, Money, minor_units


def attempt(raw, header=None):
    """The refusal and the parsed body; one of them is None.

    A garbage collection would add its time, and Hypothesis' callback fails at the recursion limit.
    """
    gc.disable()
    try:
        return None, parse_confirm_body(raw, header)
    except RefusedError as refused:
        return refused.answer, None
    finally:
        gc.enable()


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PLAUSIBLE = st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=7).map(json.dumps)


@settings(max_examples=400)
@given(st.binary(max_size=2000) | PLAUSIBLE.map(str.encode), st.none() | st.text(max_size=20))
def test_any_bytes_are_parsed_or_refused(raw, header):
    begin = time.process_time()
    answer, read = attempt(raw, header)
    if answer is not None:
        assert answer.status == 400
        assert json.loads(answer.body)["error"]
    else:
        assert read.transaction_id
        assert read.idempotency_key
    assert time.process_time() - begin < 0.25


IDS = st.text("aZ09._:-", min_size=1, max_size=20) | st.uuids().map(str) | st.text(max_size=3)
NEARLY_GOOD = st.fixed_dictionaries(
    {
        "transaction_id": IDS,
        "idempotency_key": IDS,
        "amount": st.from_regex(r"-?[0-9]{1,13}(\.[0-9]{1,3})?", fullmatch=True),
        "currency": st.sampled_from(sorted(DECIMALS)),
        "from_account": IDS,
        "to_account": IDS,
    },
    optional={
        "otp_code": st.text("01", min_size=5, max_size=7),
        "to_name": st.text(max_size=5),
        "instrument": st.sampled_from(["CASH", "ACCOUNT", "cash"]),
        "branch": IDS,
    },
).map(json.dumps)
REFUSALS = {f"Invalid field: {name}" for name in FIELDS} | {"Missing field: idempotency_key"}


@settings(max_examples=150)
@given(NEARLY_GOOD)
def test_an_almost_valid_body_is_parsed_in_full_or_refused_with_the_field(raw):
    answer, read = attempt(raw.encode())
    if answer is not None:
        assert answer.status == 400
        assert json.loads(answer.body)["error"] in REFUSALS
        return
    sent = json.loads(raw)
    assert {name: getattr(read, name) for name in sent if name != "amount"} == {
        name: value for name, value in sent.items() if name != "amount"
    }
    minor = minor_units(read.amount, read.currency)
    assert 0 < minor < 10 ** (12 + DECIMALS[read.currency])
    assert Decimal(Money(minor, read.currency).major()) == Decimal(sent["amount"])


@pytest.mark.parametrize(
    "raw",
    [
        b'{"amount":' + b"9" * 16_000 + b"}",
        b'{"transaction_id":"' + b"a" * 16_000 + b'"}',
        b'{"transaction_id":"t","idempotency_key":"k","amount":"' + b"1" * 16_000 + b'"}',
        b'{"transaction_id":"t","idempotency_key":"k","amount":"1.' + b"0" * 16_000 + b'"}',
        b"{" + b'"a":{' * 2_500,
    ],
)
def test_a_body_of_the_largest_size_is_parsed_within_50_ms(raw):
    begin = time.process_time()
    answer, _ = attempt(raw)
    assert answer is not None
    assert time.process_time() - begin < 0.05


@given(st.integers(1, 10**12 - 1), st.sampled_from(sorted(DECIMALS)), st.data())
def test_a_written_amount_is_parsed_to_the_same_value(whole, currency, data):
    places = DECIMALS[currency]
    cents = data.draw(st.integers(0, 10**places - 1))
    written = f"{whole}.{cents:0{places}d}" if places else str(whole)

    raw = json.dumps(
        {"transaction_id": "t", "idempotency_key": "k", "amount": written, "currency": currency}
    )
    assert parse_confirm_body(raw.encode()).amount == Decimal(written)
