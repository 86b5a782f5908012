"""OFAC's CSV files: the SDN list and its alternate names. Pure.

Source: OFAC, "SDN List: data formats and data schemas" (SDN.CSV, ALT.CSV). No header, Latin-1 or
UTF-8, `-0-` for an empty field, an end mark (0x1A) on the last line.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Final

from screening.domain.entries import Entry, ListError, Schema

ENTRY_FIELDS: Final = 12
ALIAS_FIELDS: Final = 5
ACCOUNT_FIELDS: Final = 2
_EMPTY: Final = "-0-"
_END_MARK: Final = "\x1a"
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "individual": "Person",
    "vessel": "Vessel",
    "aircraft": "Airplane",
    _EMPTY: "Organization",
}
_BIRTH = re.compile(r"\bDOB (?:circa )?((?:\d{1,2} )?(?:[A-Z][a-z]{2} )?\d{4})\b")
_COUNTRY = re.compile(r"\b(?:nationality|citizen) ([^;.]+)")
_WEAK = re.compile(r"a\.k\.a\. '([^']+)'")
_FORMATS: Final = (("%d %b %Y", "%Y-%m-%d"), ("%b %Y", "%Y-%m"), ("%Y", "%Y"))


def read_entries(list_name: str, entries: bytes, aliases: bytes) -> tuple[Entry, ...]:
    """Return the entries of an SDN file with the names of its alternate file. Raises ListError."""
    names = defaultdict[str, list[str]](list)
    for row in _rows("aliases", aliases, ALIAS_FIELDS):
        names[row[0]].append(row[3])
    found = tuple(_entry(list_name, row, names) for row in _rows("entries", entries, ENTRY_FIELDS))
    if strangers := names.keys() - {entry.id for entry in found}:
        raise ListError(f"aliases: no entry has the number {min(strangers)}")
    if not found:
        raise ListError("entries: the file is empty")
    return found


def read_accounts(entries: tuple[Entry, ...], content: bytes) -> dict[str, str]:
    """Return entries' ids by account, of any list: a file of our own, `number,account`.

    Raises ListError.
    """
    known = {entry.id for entry in entries}
    rows = _rows("accounts", content, ACCOUNT_FIELDS, is_by_number=False)
    accounts = {row[1]: row[0] for row in rows}
    if strangers := set(accounts.values()) - known:
        raise ListError(f"accounts: no entry has the number {min(strangers)}")
    return accounts


def _rows(
    where: str, content: bytes, fields: int, *, is_by_number: bool = True
) -> Iterator[list[str]]:
    lines = _text(content).replace(_END_MARK, "").splitlines()
    for number, row in enumerate(csv.reader(lines), start=1):
        if not any(row):
            continue
        if len(row) != fields or (is_by_number and not row[0].strip().isdigit()):
            raise ListError(f"{where}: line {number} has not the {fields} fields of this file")
        yield [field.strip() for field in row]


def _text(content: bytes) -> str:
    # OFAC has published the files in both encodings; text in Latin-1 is hardly ever valid UTF-8.
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _entry(list_name: str, row: Sequence[str], aliases: Mapping[str, Sequence[str]]) -> Entry:
    number, name, kind, programmes, remarks = row[0], row[1], row[2], row[3], row[11]
    if kind not in _SCHEMAS:
        raise ListError(f"entries: number {number} has an unknown type")
    return Entry(
        list_name=list_name,
        id=number,
        schema=_SCHEMAS[kind],
        names=tuple(dict.fromkeys(chain([name], aliases.get(number, ())))),
        weak_aliases=tuple(dict.fromkeys(_WEAK.findall(remarks))),
        birth_dates=tuple(dict.fromkeys(_iso(text) for text in _BIRTH.findall(remarks))),
        countries=tuple(dict.fromkeys(one.strip() for one in _COUNTRY.findall(remarks))),
        programmes=tuple(part for part in programmes.split("] [") if part != _EMPTY),
    )


def _iso(text: str) -> str:
    for read, written in _FORMATS:
        try:
            return datetime.strptime(text, read).strftime(written)  # noqa: DTZ007 - a date without a time
        except ValueError:
            continue
    return text[-4:]
