"""Versions side by side: what the events are now against what was released."""

import copy
import json

import jsonschema
import pytest

from contracts.releases import breaks, breaks_of, present, released
from payment_schemas.registry import BY_TYPE
from testkit.events import event_of

RELEASED = sorted(released().items())
EVENT = "risk.assessed.v1"


def test_the_events_can_be_read_by_the_last_release_and_read_what_it_wrote():
    assert breaks() == [], "a breaking change is an event of its own: see CONTRIBUTING.md"


@pytest.mark.parametrize(("ce_type", "schema"), RELEASED, ids=[name for name, _ in RELEASED])
def test_an_old_reader_takes_a_record_of_today(ce_type, schema):
    jsonschema.validate(json.loads(event_of(BY_TYPE[ce_type]).model_dump_json()), schema)


@pytest.mark.parametrize(("ce_type", "schema"), RELEASED, ids=[name for name, _ in RELEASED])
def test_a_reader_of_today_takes_an_old_record(ce_type, schema):
    for example in schema["examples"]:
        BY_TYPE[ce_type].model_validate(example)


def remove_field(schema):
    del schema["properties"]["score"]
    schema["required"].remove("score")


def remove_field_that_need_not_be_there(schema):
    del schema["properties"]["note"]


def require_new_field(schema):
    schema["properties"]["model"] = {"type": "string"}
    schema["required"].append("model")


def require_old_field(schema):
    schema["required"].append("note")


def let_field_be_left_out(schema):
    schema["required"].remove("score")


def change_type(schema):
    schema["properties"]["score"]["type"] = "string"


def narrow_enum(schema):
    schema["properties"]["kyc"]["enum"].remove("expired")


def widen_enum(schema):
    schema["properties"]["kyc"]["enum"].append("lost")


def tighten_bound(schema):
    schema["properties"]["score"]["maximum"] = 99


def change_nested(schema):
    schema["$defs"]["Screening"]["required"].remove("hit")


def change_what_a_list_holds(schema):
    schema["properties"]["factors"]["items"] = {"type": "string"}


def change_what_may_be_null(schema):
    schema["properties"]["origin"]["anyOf"][1]["properties"]["host"]["type"] = "integer"


def move_to_another_topic(schema):
    schema["x-topic"] = "elsewhere.v1"


def change_key(schema):
    schema["x-key"] = "user"


def base():
    """A released schema with one field more, that need not be there."""
    schema = copy.deepcopy(present()[EVENT])
    schema["properties"]["note"] = {"type": "string"}
    origin = {"type": "object", "properties": {"host": {"type": "string"}}}
    schema["properties"]["origin"] = {"anyOf": [{"type": "null"}, origin]}
    return schema


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (remove_field, ".score: was removed"),
        (remove_field_that_need_not_be_there, ".note: was removed"),
        (require_new_field, ".model: is new and required"),
        (require_old_field, ".note: is required"),
        (let_field_be_left_out, ".score: is required"),
        (change_type, ".score: type changed from integer to string"),
        (narrow_enum, ".kyc: enum"),
        (widen_enum, ".kyc: enum"),
        (tighten_bound, ".score: maximum changed from 100 to 99"),
        (change_nested, ".hit: is required"),
        (change_what_a_list_holds, ".factors.items: changed from or to an object"),
        (change_what_may_be_null, ".origin.host: type changed from string to integer"),
        (move_to_another_topic, "x-topic"),
        (change_key, "x-key"),
    ],
)
def test_a_change_that_breaks_a_reader_is_named(change, named):
    new = base()
    change(new)
    assert any(named in one for one in breaks_of(base(), new)), breaks_of(base(), new)


def add_field(schema):
    schema["properties"]["model"] = {"type": "string", "default": "m1"}


def add_nested_field(schema):
    schema["$defs"]["Screening"]["properties"]["list"] = {"type": "string"}


def add_field_to_what_may_be_null(schema):
    schema["properties"]["origin"]["anyOf"][1]["properties"]["model"] = {"type": "string"}


def add_field_of_a_keywords_name(schema):
    schema["properties"]["title"] = {"type": "string"}


def explain_better(schema):
    schema["properties"]["score"] |= {"description": "better", "title": "Better"}
    schema["x-readers"] = ["confirm"]


def reorder(schema):
    schema["required"].reverse()
    schema["properties"]["kyc"]["enum"].reverse()


@pytest.mark.parametrize(
    "change",
    [
        add_field,
        add_nested_field,
        add_field_to_what_may_be_null,
        add_field_of_a_keywords_name,
        explain_better,
        reorder,
    ],
)
def test_a_compatible_change_is_accepted(change):
    new = base()
    change(new)
    assert breaks_of(base(), new) == []


def test_a_released_field_of_a_keywords_name_is_not_overlooked():
    old = base()
    add_field_of_a_keywords_name(old)
    assert breaks_of(old, base()) == [".title: was removed"]
