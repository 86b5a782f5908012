from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.cloudevents import (
    Attributes,
    MalformedRecordError,
    headers_of,
    read_attributes,
    read_event,
)
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.events.otp import Verified
from payment_schemas.registry import BY_TYPE, EVENTS
from testkit.events import NOON, event_of

ID = UUID("0b9c2a52-6f0c-4c1e-9d3f-0a6a8f7f1c11")
TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)


def headers(**changed):
    """Valid headers of a verification; None removes one."""
    found = dict(headers_of(event_of(Verified), Attributes(ID, NOON, TRACE), "otp")) | changed
    return [(name, value) for name, value in found.items() if value is not None]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_equal_after_writing_and_reading(event):
    written = event_of(event)
    attributes = Attributes(ID, NOON, TRACE)

    ce_type, read = read_attributes(headers_of(written, attributes, "confirm"))

    assert (ce_type, read) == (event.ce_type, attributes)
    assert read_event(ce_type, event.topic, written.model_dump_json().encode()) == written


@given(st.uuids(), st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5)))))
def test_id_and_time_are_equal_after_writing_and_reading(event_id, time):
    written = Attributes(event_id, time)

    assert read_attributes(headers_of(event_of(Verified), written, "otp"))[1] == written


def test_a_record_has_type_source_and_subject():
    assert dict(headers()) == {
        "ce_specversion": b"1.0",
        "ce_id": str(ID).encode(),
        "ce_type": b"otp.verified.v1",
        "ce_source": b"/countersign/otp",
        "ce_time": b"2026-03-02T12:00:00+00:00",
        "ce_subject": b"8f0d6a5e-2f0c-5b7e-9d3b-0a6a8f7f1c11",
        "content-type": b"application/json",
        "traceparent": TRACE[0][1].encode(),
    }


def test_a_settlement_request_has_its_own_type_on_the_queue():
    event = BY_TYPE["settlement.requested.v1"]

    assert event.topic == "settlement-queue"


def test_a_command_is_about_its_request_and_keyed_by_user_and_idempotency_key():
    command = event_of(ConfirmRequested, user_id="usr-1", idempotency_key="k")

    assert command.key == "usr-1\x1fk"
    assert command.subject == str(command.request_id)


@pytest.mark.parametrize(
    ("changed", "details"),
    [
        ({"ce_specversion": None}, "ce_specversion: missing"),
        ({"ce_specversion": b"0.3"}, "ce_specversion: must be 1.0"),
        ({"ce_id": None}, "ce_id: missing"),
        ({"ce_id": b""}, "ce_id: missing"),
        ({"ce_id": b"17"}, "ce_id: not a UUID"),
        ({"ce_id": b"\xff"}, "ce_id: not UTF-8"),
        ({"ce_type": None}, "ce_type: missing"),
        ({"ce_time": None}, "ce_time: missing"),
        ({"ce_time": b"yesterday"}, "ce_time: not RFC 3339"),
        ({"ce_time": b"2026-03-02T12:00:00"}, "ce_time: without a time zone"),
        ({"ce_time": b"0001-01-01T00:00:00+01:00"}, "ce_time: out of range"),
        ({"ce_time": b"9999-12-31T23:00:00-01:00"}, "ce_time: out of range"),
        ({"ce_subject": b"\xff"}, "ce_subject: not UTF-8"),
        ({"traceparent": b"\xff"}, "traceparent: not UTF-8"),
    ],
)
def test_an_invalid_header_is_named(changed, details):
    with pytest.raises(MalformedRecordError, match=rf"^{details}$") as refused:
        read_attributes(headers(**changed))
    assert refused.value.reason == "header"


def test_a_null_header_is_missing():
    with pytest.raises(MalformedRecordError, match=r"^ce_id: missing$"):
        read_attributes([*headers(ce_id=None), ("ce_id", None)])


def test_other_headers_may_have_any_value():
    ce_type, _ = read_attributes([*headers(), ("b3", b"\xff"), ("x", None)])

    assert ce_type == "otp.verified.v1"


def test_a_record_without_a_trace_has_none():
    assert read_attributes(headers(traceparent=None))[1].trace == ()


def changed_value(**fields):
    return event_of(Verified).model_copy(update=fields).model_dump_json(warnings=False).encode()


@pytest.mark.parametrize(
    ("value", "reason", "details"),
    [
        (None, "schema", "value: missing"),
        (b"", "schema", "value: json_invalid"),
        (b"\x00\xff", "schema", "value: json_invalid"),
        (b"[]", "schema", "value: model_type"),
        (changed_value(result="maybe"), "schema", "result: literal_error"),
        (changed_value(challenge_id="x"), "schema", "challenge_id: uuid_parsing"),
        (changed_value(user_id=""), "schema", "user_id: string_too_short"),
    ],
)
def test_an_invalid_value_is_reported_by_field_and_never_quoted(value, reason, details):
    with pytest.raises(MalformedRecordError, match=f"^{details}$") as refused:
        read_event("otp.verified.v1", "otp.verified.v1", value)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("ce_type", "topic"),
    [
        pytest.param("otp.verified.v2", "otp.verified.v1", id="an unknown version"),
        pytest.param("nonsense", "otp.verified.v1", id="an unknown type"),
        pytest.param("risk.assessed.v1", "otp.verified.v1", id="a type of another topic"),
    ],
)
def test_a_type_of_another_topic_is_refused(ce_type, topic):
    with pytest.raises(MalformedRecordError, match="ce_type: not known on") as refused:
        read_event(ce_type, topic, event_of(Verified).model_dump_json().encode())
    assert refused.value.reason == "type"


@pytest.mark.parametrize("event", EVENTS)
def test_a_reader_ignores_unknown_fields(event):
    value = event_of(event).model_dump_json()[:-1] + ',"new_in_v1_1":{"a":1}}'

    assert read_event(event.ce_type, event.topic, value.encode()) == event_of(event)


@given(st.binary(max_size=200) | st.none())
def test_any_value_is_an_event_or_malformed(value):
    with pytest.raises(MalformedRecordError):
        read_event("otp.verified.v1", "otp.verified.v1", value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ce_id", "ce_time", "ce_type", "ce_specversion", "x"]),
            st.none() | st.binary(max_size=40),
        )
    )
)
def test_any_headers_are_attributes_or_malformed(found):
    try:
        _, attributes = read_attributes(found)
    except MalformedRecordError:
        return
    assert isinstance(attributes.time, datetime)
