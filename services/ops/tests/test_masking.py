"""The masking of a dead letter's data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.domain.masking import HIDDEN, MOST_FIELDS, SHOWN, masked
from payment_schemas.registry import EVENTS
from payment_schemas.sealed import Sealed

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def shown(**fields):
    return masked(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("payment_id", "9544115c-7ceb-5304-be5a-fc11d3062f5c", None, id="an id"),
        pytest.param("amount_minor", 5000, None, id="an amount"),
        pytest.param("amount", "50.00", None, id="an amount as text"),
        pytest.param("to_account", "payee-xyz", None, id="an account"),
        pytest.param("confirmed_at", "2026-11-21T00:25:46.228972Z", None, id="a time"),
        pytest.param("sealed_code", "k1.AAAA", HIDDEN, id="a sealed code"),
        pytest.param("code_tag", "f00f", HIDDEN, id="a code's tag"),
        pytest.param("otp_code", 789012, HIDDEN, id="a code"),
        pytest.param("user_id", "789012", HIDDEN, id="a code in the wrong field"),
        pytest.param("transaction_id", "Jane Doe, 1 Main Street", HIDDEN, id="a sentence"),
        pytest.param("payment_id", {"name": "Jane"}, HIDDEN, id="a nested object"),
        pytest.param("payment_id", ["Jane"], HIDDEN, id="a list"),
        pytest.param("context", {"ip_address": "127.0.0.1"}, HIDDEN, id="a context"),
    ],
)
def test_only_ids_and_amounts_are_shown(name, value, expected):
    assert shown(**{name: value}) == {name: expected or value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "no value"), (b"\xff\xfe", "2 bytes, not JSON"), (b"[1]", "3 bytes, not an object")],
)
def test_of_a_value_that_is_no_object_only_the_size_is_shown(value, expected):
    assert masked(value) == expected


@given(json_values)
def test_unknown_fields_are_masked(value):
    text = json.dumps({"note": value, "sealed_code": value}).encode()
    allowed = value if value is None or isinstance(value, bool) else HIDDEN
    assert masked(text) == {"note": allowed, "sealed_code": allowed}


@given(st.binary(max_size=200))
def test_any_bytes_can_be_masked(value):
    assert masked(value)


def test_the_number_of_fields_is_limited():
    assert len(shown(**{f"field_{number}": 1 for number in range(500)})) == MOST_FIELDS + 1


def test_no_sealed_field_of_an_event_is_shown():
    sealed = {
        name
        for event in EVENTS
        for name, field in event.model_fields.items()
        if Sealed in (field.annotation, *getattr(field.annotation, "__args__", ()))
    }
    assert sealed
    assert not sealed & SHOWN
