"""Elements of FinCEN's schemas: their order, numbers and characters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from xml.etree import ElementTree as ET  # nosec B405

NAMESPACE = "www.fincen.gov/base"
YES = "Y"
BLANK = ""
"""An indicator that the schema demands, and that does not apply."""


@dataclass(frozen=True, slots=True)
class Node:
    """An element with text, or with elements; only the latter have a sequence number."""

    name: str
    content: "str | Sequence[Node]"


def group(name: str, *parts: Node | None) -> Node:
    """Return an element with elements; None is left out."""
    return Node(name, [one for one in parts if one is not None])


def text(name: str, value: str | None, most: int = 4000) -> Node | None:
    """Return an element with a text as the schema takes it; None without one."""
    kept = "" if value is None else cleaned(value)[:most].rstrip()
    return Node(name, kept) if kept else None


def mark(name: str, *, applies: bool = True) -> Node | None:
    """Return an indicator; None where it does not apply."""
    return Node(name, YES) if applies else None


def blank(name: str) -> Node:
    """Return an element that the schema demands, without a value."""
    return Node(name, BLANK)


def day(name: str, value: date) -> Node:
    """Return a date."""
    return Node(name, f"{value:%Y%m%d}")


def dollars(name: str, amount: int | None) -> Node | None:
    """Return an amount in whole US dollars."""
    return None if amount is None else Node(name, str(amount))


def cleaned(value: str) -> str:
    """Return a text in one line, without what XML cannot hold or the schemas refuse."""
    kept = (one if one.isprintable() else " " for one in value)
    return " ".join("".join(kept).split())


def written(form: str, activities: Iterable[Node], figures: Mapping[str, int]) -> bytes:
    """Return a batch as XML; `figures` are the attributes of its root."""
    ET.register_namespace("fc2", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}EFilingBatchXML")
    for name, figure in figures.items():
        root.set(name, str(figure))
    _append(root, Node("FormTypeCode", form), count(1))
    numbers = count(1)
    for one in activities:
        _append(root, one, numbers)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def parties_in(activity: Node) -> int:
    """Return the number of parties of a report."""
    return sum(one.name == "Party" for one in activity.content if isinstance(one, Node))


def _append(parent: ET.Element, node: Node, numbers: "count[int]") -> None:
    element = ET.SubElement(parent, f"{{{NAMESPACE}}}{node.name}")
    if isinstance(node.content, str):
        element.text = node.content
        return
    element.set("SeqNum", str(next(numbers)))
    for one in node.content:
        _append(element, one, numbers)
