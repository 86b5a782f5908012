"""MACs of messages: what moves money is accepted from its emitter alone, and as it was written."""

from dataclasses import replace
from uuid import UUID

import pytest

from payment_schemas.cloudevents import MalformedRecordError
from payment_schemas.events.confirmation import ConfirmRequested, PaymentDeclined
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.subject import SubjectErased
from payment_schemas.registry import BY_TYPE
from service_runtime.keys import KeyRing
from service_runtime.message_macs import HEADER, REASON, MessageMacs
from testkit.events import event_of, outgoing_of

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
RECORD = outgoing_of(event_of(RiskAssessed), UUID(int=1))


def macs_of(*materials, event=RiskAssessed):
    macs = MessageMacs()
    macs.add(KeyRing(*materials), [event])
    return macs


def verify(macs, record):
    macs.verify(record.topic, record.headers, record.value)


def refused(macs, record):
    with pytest.raises(MalformedRecordError, match="mac") as error:
        verify(macs, record)
    return error.value.reason == REASON


def with_header(record, name, value):
    changed = [(known, value if known == name else raw) for known, raw in record.headers]
    return replace(record, headers=tuple(changed))


def test_a_signed_record_is_accepted():
    verify(macs_of(NEW), macs_of(NEW).signed(RECORD))


def test_a_record_without_a_mac_or_with_another_key_is_refused():
    assert refused(macs_of(NEW), RECORD)
    assert refused(macs_of(NEW), macs_of(OTHER).signed(RECORD))


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_subject", "ce_time"])
def test_a_changed_attribute_is_refused(name):
    assert refused(macs_of(NEW), with_header(macs_of(NEW).signed(RECORD), name, b"another"))


def test_a_changed_value_is_refused():
    signed = macs_of(NEW).signed(RECORD)
    assert refused(macs_of(NEW), replace(signed, value=signed.value.replace(b"85", b"05")))
    assert refused(macs_of(NEW), replace(signed, value=None))


def test_a_record_that_was_moved_to_another_topic_is_refused():
    macs = MessageMacs()
    macs.add(KeyRing(NEW), [RiskAssessed, ConfirmRequested])
    moved = replace(macs.signed(RECORD), topic=ConfirmRequested.topic)
    assert refused(macs, moved)


@pytest.mark.parametrize("mac", [None, b"", b".", b"\xff\xfe", b"0a1b2c3d.", b"." * 5000])
def test_rubbish_for_a_mac_is_refused(mac):
    assert refused(macs_of(NEW), with_header(macs_of(NEW).signed(RECORD), HEADER, mac))


def test_two_macs_are_refused_also_if_one_is_right():
    signed = macs_of(NEW).signed(macs_of(OTHER).signed(RECORD))
    assert refused(macs_of(NEW), signed)


def test_two_keys_are_accepted_during_a_rotation_and_a_retired_one_is_not():
    old, new = macs_of(OLD).signed(RECORD), macs_of(NEW, OLD).signed(RECORD)
    for signed in (old, new):
        verify(macs_of(NEW, OLD), signed)
    assert refused(macs_of(NEW), old)
    verify(macs_of(NEW), new)


def test_a_redriven_record_keeps_its_mac():
    signed = macs_of(NEW).signed(RECORD)
    verify(macs_of(NEW), replace(signed, headers=(*signed.headers, ("redriven_at", b"now"))))


def test_an_event_with_several_readers_has_a_mac_for_each_and_none_forges_for_another():
    readers, emitter = SubjectErased.acting_readers, MessageMacs()
    keys = {reader: bytes([number]) * 32 for number, reader in enumerate(readers)}
    for reader, key in keys.items():
        emitter.add(KeyRing(key), [SubjectErased], reader)
    emitter.require("compliance", reads=[], emits=[SubjectErased])
    record = outgoing_of(SubjectErased(user_id="usr-456"), UUID(int=3))
    for reader, other in zip(readers, (*readers[1:], readers[0]), strict=True):
        own, forger = MessageMacs(), MessageMacs()
        own.add(KeyRing(keys[reader]), [SubjectErased], reader)
        own.require(reader, reads=[SubjectErased], emits=[])
        with pytest.raises(RuntimeError, match=r"subject\.erased"):
            own.require("compliance", reads=[], emits=[SubjectErased])
        verify(own, emitter.signed(record))
        forger.add(KeyRing(keys[other]), [SubjectErased], reader)
        assert refused(own, forger.signed(record))


def test_topics_without_keys_are_neither_signed_nor_verified():
    declined = outgoing_of(event_of(PaymentDeclined), UUID(int=2))
    assert macs_of(NEW).signed(declined) is declined
    verify(macs_of(NEW), declined)


def test_a_process_without_a_needed_key_does_not_start():
    macs = macs_of(NEW)
    macs.require("confirm", reads=[RiskAssessed], emits=[PaymentDeclined])
    macs.require("audit", reads=[ConfirmRequested], emits=[])
    with pytest.raises(RuntimeError, match=r"confirm-requested.*key of its MAC"):
        macs.require("confirm", reads=[ConfirmRequested], emits=[])
    with pytest.raises(RuntimeError, match="confirm-requested"):
        macs.require("gateway", reads=[], emits=[ConfirmRequested])


def test_each_message_that_a_service_acts_on_is_authenticated():
    """What is left to the broker's rights alone informs: a log, messages to customers, reviews."""
    acting = {event.topic: event.acting_readers for event in BY_TYPE.values()}
    informing = {topic for topic, reader in acting.items() if not reader}
    assert {topic for topic in informing if not topic.startswith("probe.")} == {
        "audit.recorded.v1",
        "charges.changed.v1",
        "fraud.reported.v1",
        "notification.delivered.v1",
        "otp.codes-lock-changed.v1",
        "payment.declined.v1",
        "payment.status-changed.v1",
        "review.opened.v1",
        "risk.explained.v1",
        "webhooks.endpoint-changed.v1",
    }
