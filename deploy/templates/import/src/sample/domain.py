"""What a line says. Pure."""

import re
from dataclasses import dataclass

_QUANTITY = re.compile(r"[0-9]{1,9}")
MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A line that is right."""

    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is no row: the field, and the rule that it breaks."""

    field: str
    reason: str


def read_line(content: bytes) -> Row | Refusal:
    """Return the row of a line, `name,quantity`, or what is wrong with it."""
    try:
        fields = content.decode("utf-8").split(",")
    except UnicodeDecodeError:
        return Refusal("line", "must be UTF-8")
    if len(fields) != len(Row.__slots__):
        return Refusal("line", f"must have the fields {', '.join(Row.__slots__)}")
    name, quantity = (field.strip() for field in fields)
    if not 0 < len(name) <= MOST_CHARACTERS or not name.isprintable():
        return Refusal("name", f"must be 1 to {MOST_CHARACTERS} printable characters")
    if not _QUANTITY.fullmatch(quantity):
        return Refusal("quantity", "must be a whole number below 1,000,000,000")
    return Row(name, int(quantity))
