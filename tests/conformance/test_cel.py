"""The CEL implementation of compliance against the conformance files of the language.

CONFORMANCE_DATA names the folder with the files; without it, an excerpt of the same shape is used.
What fails is listed by name, and the list must be right in both directions.
"""

import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cel_expr_python import cel

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from textproto import Message, parsed  # noqa: E402 - a module beside this file, in no package

FILES = ("basic", "comparisons", "fields", "logic", "string")
MESSAGES = "messages of protocol buffers: facts are flat values, and no message type is registered"
WRAPPED = (*("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64"),)
FAILING: Mapping[str, Mapping[str, str]] = {
    "excerpt": {"messages/a_message": MESSAGES},
    "basic": {},
    "comparisons": {
        **dict.fromkeys(
            (
                *(f"eq_literal/not_eq_dyn_proto{n}_msg_null" for n in (2, 3)),
                *(f"eq_wrapper/eq_{kind}_proto{n}_null" for kind in WRAPPED for n in (2, 3)),
                *(f"eq_wrapper/eq_proto{n}" for n in (2, 3)),
                *(f"eq_wrapper/eq_proto{n}_missing_fields_neq" for n in (2, 3)),
                "eq_wrapper/eq_proto_nan_equal",
                "eq_wrapper/eq_proto_different_types",
                *(
                    f"eq_wrapper/eq_proto{n}_any_unpack_{end}"
                    for n in (2, 3)
                    for end in (
                        "equal",
                        "not_equal",
                        "bytewise_fallback_equal",
                        "bytewise_fallback_not_equal",
                    )
                ),
                *(f"ne_literal/ne_proto{n}" for n in (2, 3)),
                *(f"ne_literal/ne_proto{n}_missing_fields_neq" for n in (2, 3)),
                "ne_literal/ne_proto_nan_not_equal",
                "ne_literal/ne_proto_different_types",
                *(f"ne_literal/ne_proto{n}_any_unpack" for n in (2, 3)),
                *(f"ne_literal/ne_proto{n}_any_unpack_bytewise_fallback" for n in (2, 3)),
            ),
            MESSAGES,
        ),
    },
    "fields": {
        "qualified_identifier_resolution/qualified_identifier_resolution_unchecked": (
            "names with dots in an expression that is not type-checked: rules always are"
        ),
        "qualified_identifier_resolution/map_value_repeat_key_heterogeneous": (
            "a map with the keys 0 and 0u is not refused"
        ),
    },
    "logic": {},
    "string": {},
}
"""What fails, as section/test, by file; and why."""
PRIMITIVES = {
    "BOOL": cel.Type.BOOL,
    "BYTES": cel.Type.BYTES,
    "DOUBLE": cel.Type.DOUBLE,
    "INT64": cel.Type.INT,
    "STRING": cel.Type.STRING,
    "UINT64": cel.Type.UINT,
}


class Case(NamedTuple):
    """One test of a file."""

    name: str
    """section/test"""
    message: Message

    def text(self, field: str) -> str:
        """Return a text; empty where the field is left out."""
        (value,) = self.message.get(field, [b""])
        return value.decode()


def folder() -> Path:
    data = os.environ.get("CONFORMANCE_DATA")
    return Path(data) / "cel" if data else HERE / "cel"


def files() -> tuple[str, ...]:
    return FILES if os.environ.get("CONFORMANCE_DATA") else ("excerpt",)


@cache
def cases_of(file: str) -> list[Case]:
    whole = parsed((folder() / f"{file}.textproto").read_text())
    return [
        Case(f"{section['name'][0].decode()}/{test['name'][0].decode()}", test)
        for section in whole["section"]
        for test in section.get("test", ())
    ]


def value_of(message: Message) -> Any:
    """Return a `cel.expr.Value`."""
    ((kind, (value,)),) = message.items()
    match kind:
        case "null_value":
            return None
        case "bool_value":
            return value == "true"
        case "int64_value" | "uint64_value":
            return int(value, 0)
        case "double_value":
            return float(value)
        case "string_value":
            return value.decode()
        case "bytes_value":
            return value
        case "list_value":
            return [value_of(one) for one in value.get("values", ())]
        case "map_value":
            return dict(_entries(value))
    raise ValueError(f"unknown kind of value: {kind}")


def _entries(message: Message) -> Iterator[tuple[Any, Any]]:
    for entry in message.get("entries", ()):
        yield value_of(entry["key"][0]), value_of(entry["value"][0])


def type_of(message: Message) -> cel.Type:
    """Return a `cel.expr.Type`."""
    ((kind, (value,)),) = message.items()
    match kind:
        case "primitive":
            return PRIMITIVES[value]
        case "null":
            return cel.Type.NULL
        case "list_type":
            return cel.Type.List(type_of(value["elem_type"][0]))
        case "map_type":
            return cel.Type.Map(type_of(value["key_type"][0]), type_of(value["value_type"][0]))
    raise ValueError(f"unknown kind of type: {kind}")


def result_of(case: Case) -> tuple[str, Any]:
    """Return `value` or `error`, and which."""
    declared = case.message.get("type_env", ())
    bound = case.message.get("bindings", ())
    types = {one["name"][0].decode(): type_of(one["ident"][0]["type"][0]) for one in declared}
    values = {one["key"][0].decode(): value_of(one["value"][0]["value"][0]) for one in bound}
    environment = cel.NewEnv(variables=types, container=case.text("container"))
    try:
        unchecked = case.message.get("disable_check") == ["true"]
        compiled = environment.compile(case.text("expr"), disable_check=unchecked)
        result = compiled.eval(data=values)
    except RuntimeError as error:
        return "error", str(error)
    kind = "error" if result.type() == cel.Type.ERROR else "value"
    return kind, result.plain_value()


def is_as_expected(case: Case) -> bool:
    kind, found = result_of(case)
    if "eval_error" in case.message:
        return kind == "error"
    expected = value_of(case.message["value"][0]) if "value" in case.message else True
    return kind == "value" and is_same(found, expected)


def is_same(found: Any, expected: Any) -> bool:
    if isinstance(found, bytearray):
        found = bytes(found)
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("file", files())
def test_what_fails_is_listed_and_what_is_listed_fails(file):
    outcomes = {case.name: is_as_expected(case) for case in cases_of(file)}
    counted = Counter(outcomes.values())
    sys.stdout.write(f"CEL {file}: {counted[True]} of {len(outcomes)} pass\n")
    for name, why in FAILING[file].items():
        sys.stdout.write(f"  {name}: {why}\n")
    assert {name for name, passes in outcomes.items() if not passes} == set(FAILING[file])


@pytest.mark.parametrize(
    ("expr", "value", "passes"),
    [("1 + 1", {"int64_value": ["2"]}, True), ("1 + 1", {"int64_value": ["3"]}, False)],
)
def test_a_wrong_result_does_not_pass(expr, value, passes):
    message = {"expr": [expr.encode()], "value": [value]}
    assert is_as_expected(Case("a/b", message)) is passes


def test_an_error_that_is_expected_and_does_not_come_does_not_pass():
    assert not is_as_expected(Case("a/b", {"expr": [b"true"], "eval_error": [{}]}))
