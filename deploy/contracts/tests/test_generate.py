import json
import re

import jsonschema
import pytest
import yaml

from contracts.generate import DOCS, SECURITY, event_schema, generated_files, orphaned_files
from local_stack.inventory import load_inventory
from local_stack.topics import load_topics
from payment_schemas.registry import EVENTS
from testkit.events import event_of

TOPICS = {topic.name: topic for topic in load_topics()}


def test_every_generated_file_is_up_to_date():
    stale = [path for path, text in generated_files().items() if path.read_text() != text]
    assert (stale, orphaned_files()) == ([], set()), "run `make generate`"


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_topic_that_names_its_schema(event):
    assert TOPICS[event.topic].schema == event.ce_type


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_names_the_readers_of_the_core_that_its_topic_has(event):
    readers = re.search(r"[Rr]ead by ([^.]*)\.", " ".join(event.__doc__.split()))[1]
    core = {one.name for one in load_inventory().core}

    assert set(re.findall(r"\w+", readers)) & core == set(TOPICS[event.topic].readers) & core


RECORDING = {"risk.assessment-requested.v1": {"screening"}}
"""Readers beside audit that keep what a command says and reply nothing: decision 0046."""


@pytest.mark.parametrize("event", [event for event in EVENTS if event.kind == "command"])
def test_one_service_alone_acts_on_a_command(event):
    (acting,) = set(TOPICS[event.topic].readers) - {"audit"} - RECORDING.get(event.topic, set())
    assert event.acting_readers == (acting,)
    assert event.ce_type.endswith("requested.v1")


@pytest.mark.parametrize("event", [event for event in EVENTS if event.kind == "reply"])
def test_a_reply_goes_to_the_sender_of_its_command_past_the_outbox(event):
    topic = TOPICS[event.topic]
    commands = [TOPICS[one.topic] for one in EVENTS if one.kind == "command"]
    senders = {command.owner for command in commands if topic.owner in command.readers}

    assert event_of(event).partition is not None
    assert not event.through_outbox
    assert set(topic.readers) <= senders


@pytest.mark.parametrize("event", EVENTS)
def test_a_real_event_satisfies_its_schema(event):
    schema = event_schema(event, TOPICS[event.topic])
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(json.loads(event_of(event).model_dump_json()), schema)


@pytest.mark.parametrize("event", EVENTS)
def test_a_field_that_is_missing_breaks_the_schema(event):
    schema = event_schema(event, TOPICS[event.topic])
    for name in schema["required"]:
        data = json.loads(event_of(event).model_dump_json())
        del data[name]
        with pytest.raises(jsonschema.ValidationError, match=name):
            jsonschema.validate(data, schema)


def test_the_system_is_described_with_every_topic():
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))

    described = {one["address"]: one["tags"] for one in document["channels"].values()}

    assert described == {event.topic: [{"name": event.kind}] for event in EVENTS}


def test_the_picture_of_trust_has_a_thick_arrow_for_each_acting_reader_who_shares_a_key():
    text = SECURITY.read_text()
    boxes = dict(re.findall(r'^ +(\w+)\["\w+<br/>(.*)"\]', text, re.MULTILINE))
    drawn = set()
    for writer, names, reader in re.findall(r'(\w+) ==>\|"(.*)"\| (\w+)', text):
        drawn |= {(writer, name, reader) for name in names.split("<br/>")}
        shared = set(boxes[writer].split("<br/>")) & set(boxes[reader].split("<br/>"))
        assert len([key for key in shared if key.startswith("mac-")]) == 1
    acting = {
        (TOPICS[event.topic].owner, event.topic.removesuffix(".v1"), reader)
        for event in EVENTS
        for reader in event.acting_readers
    }
    assert drawn == acting
