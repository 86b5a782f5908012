"""The limits, twins, owners and readers of every topic that a manifest emits."""

import pytest

from local_stack.inventory import load_inventory
from local_stack.topics import load_topics

DAY_MS = 86_400_000
MIB = 1024 * 1024


@pytest.fixture
def topics():
    return {topic.name: topic for topic in load_topics()}


def test_every_topic_but_the_answers_has_a_dead_letter_twin(topics):
    sources = {name for name in topics if not name.endswith("-dlq")}
    twins = {name.removesuffix("-dlq") for name in topics if name.endswith("-dlq")}
    assert sources - twins == {"payment.confirm-answered.v1"}
    assert twins < sources


def test_each_topic_has_the_retention_of_its_kind(topics):
    days = {
        "payment.confirm-requested.v1": 7,
        "risk.assessment-requested.v1": 7,
        "settlement-queue": 7,
        "payment.confirmed.v1": 30,
        "settlement.updated.v1": 30,
        "settlement-queue-dlq": 90,
    }
    for name, kept in days.items():
        assert int(topics[name].settings["retention.ms"]) == kept * DAY_MS
    assert int(topics["payment.confirm-answered.v1"].settings["retention.ms"]) < DAY_MS / 24


def test_a_dead_letter_may_be_larger_than_what_it_holds(topics):
    assert topics["settlement-queue"].settings["max.message.bytes"] == str(MIB)
    assert topics["settlement-queue-dlq"].settings["max.message.bytes"] == str(2 * MIB)


def test_the_topic_of_replies_has_32_partitions(topics):
    assert topics["payment.confirm-answered.v1"].partitions == 32
    assert topics["payment.confirmed.v1"].partitions == 2


def test_production_keeps_three_copies_and_waits_for_two():
    for topic in load_topics("production"):
        assert (topic.replication, topic.settings["min.insync.replicas"]) == (3, "2")
        assert topic.partitions in {24, 32}


def test_the_records_of_the_settlement_queue_have_their_own_type(topics):
    assert topics["settlement-queue"].schema == "settlement.requested.v1"
    assert topics["settlement-queue-dlq"].schema == "settlement.requested.v1"
    assert topics["otp.verified.v1"].schema == "otp.verified.v1"


def test_owners_and_readers_are_services(topics):
    known = {*load_inventory().services, "any"}
    for topic in topics.values():
        assert {topic.owner, *topic.readers} <= known
