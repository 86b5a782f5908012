"""The last released schema of each event, and the allowed differences.

Versions run side by side: old readers get new records, new readers old ones. Readers ignore unknown
fields, so an event may gain optional fields, and nothing else: an unknown value, a changed bound or
a removed field would make a dead letter of every such record at the other version.
`make release-schemas` releases the current schemas.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.generate import event_schema
from local_stack.layout import CHECKOUT
from local_stack.topics import load_topics
from payment_schemas.registry import EVENTS
from testkit.events import event_of

RELEASED = CHECKOUT / "libs/schemas/released"
_TEXTS = frozenset({"$id", "$schema", "$defs", "title", "description", "default", "examples"})
"""Texts for people, and resolved references."""
_MAY_DIFFER = _TEXTS | {"x-readers", "x-owner", "x-kind", "properties", "required"}

Schema = Mapping[str, Any]


def present() -> dict[str, Schema]:
    """Return the current schema of each event by `ce_type`, with an example."""
    topics = {topic.name: topic for topic in load_topics()}
    return {
        event.ce_type: event_schema(event, topics[event.topic])
        | {"examples": [json.loads(event_of(event).model_dump_json())]}
        for event in EVENTS
    }


def released() -> dict[str, Schema]:
    """Return the schemas of the last release, by `ce_type`."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in RELEASED.glob("*.json")}


def breaks() -> list[str]:
    """Return the incompatibilities of the current events with the last release."""
    now = present()
    return [
        f"{ce_type}{one}"
        for ce_type, old in sorted(released().items())
        for one in (breaks_of(old, now[ce_type]) if ce_type in now else [": was removed"])
    ]


def breaks_of(old: Schema, new: Schema) -> list[str]:
    """Return the incompatibilities of two versions of a schema."""
    return list(_breaks("", _inlined(old, old), _inlined(new, new)))


def _inlined(schema: Any, whole: Schema) -> Any:
    """Return a schema with resolved references, sorted, without texts for people."""
    if isinstance(schema, list):
        return [_inlined(one, whole) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return _inlined(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    kept = {name: one for name, one in schema.items() if name not in _TEXTS}
    if isinstance(properties := kept.pop("properties", None), Mapping):
        # By field name, which may equal a keyword.
        kept["properties"] = {name: _inlined(one, whole) for name, one in properties.items()}
    found = {n: one if n == "properties" else _inlined(one, whole) for n, one in kept.items()}
    for name in ("enum", "required", "anyOf"):
        if name in found:
            found[name] = sorted(found[name], key=json.dumps)
    return found


def _breaks(path: str, old: Any, new: Any) -> Iterator[str]:
    """Compare two inlined schemas."""
    if "properties" in old and "properties" in new:
        yield from _fields(path, old, new)
    elif "properties" in old or "properties" in new:
        yield f"{path}: changed from or to an object"
    for name in sorted((old.keys() | new.keys()) - _MAY_DIFFER):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _breaks(f"{path}.{name}", before, after)
        elif name == "anyOf" and before and after and len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                yield from _breaks(path, one, other)
        elif before != after:
            yield f"{path}: {name} changed from {before} to {after}"


def _fields(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """Compare the fields of two objects: only new optional fields are allowed."""
    fields, required = old["properties"], set(new.get("required", ()))
    for name, before in fields.items():
        if name not in new["properties"]:
            yield f"{path}.{name}: was removed"
            continue
        yield from _breaks(f"{path}.{name}", before, new["properties"][name])
        if (name in old.get("required", ())) != (name in required):
            yield f"{path}.{name}: is required in one version only"
    for name in sorted(required - fields.keys()):
        yield f"{path}.{name}: is new and required"


def release() -> Iterator[Path]:
    """Write the current schemas; yield the changed files."""
    for ce_type, schema in present().items():
        path = RELEASED / f"{ce_type}.json"
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
            yield path


def main() -> None:
    """Release the schemas, unless a reader would break."""
    if found := breaks():
        sys.exit("\n".join(found) + "\nnot released: such a change needs a new event, ….v2")
    for path in release():
        sys.stdout.write(f"released {path.relative_to(CHECKOUT)}\n")


if __name__ == "__main__":
    main()
