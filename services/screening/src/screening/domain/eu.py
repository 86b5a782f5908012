"""The EU's consolidated list of financial sanctions, as XML. Pure.

Source: European Commission, FISMA, "Financial Sanctions Database", xmlFullSanctionsList 1.1: a
`sanctionEntity` an entry; what is said of it stands in attributes.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from lxml import etree

from screening.domain.documents import distinct, read_elements
from screening.domain.entries import Entry, ListError, Schema

_SCHEMAS: Final[Mapping[str, Schema]] = {"person": "Person", "enterprise": "Organization"}
_UNKNOWN: Final = "UNKNOWN"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEAR = re.compile(r"[12]\d{3}")


def read_entries(list_name: str, entries: bytes) -> tuple[Entry, ...]:
    """Return the entries of the file. Raises ListError."""
    return read_elements(entries, ["sanctionEntity"], partial(_entry, list_name))


def _entry(list_name: str, element: etree._Element) -> Entry:
    name = element.get("euReferenceNumber") or element.get("logicalId") or ""
    kind = _attributes(element, "subjectType", "code")
    if not name or not kind or kind[0] not in _SCHEMAS:
        raise ListError(f"entries: {name or 'an entry'} has no id, or a type that is not known")
    strong = [_name(one) for one in element.findall("{*}nameAlias") if one.get("strong") != "false"]
    weak = [_name(one) for one in element.findall("{*}nameAlias") if one.get("strong") == "false"]
    names = distinct([one for one in strong or weak if one])
    if not names:
        raise ListError(f"entries: {name} has no name")
    return Entry(
        list_name=list_name,
        id=name,
        schema=_SCHEMAS[kind[0]],
        names=names,
        weak_aliases=distinct([one for one in weak if one and one not in names]),
        birth_dates=distinct([*_births(element)]),
        countries=distinct(
            [
                one
                for one in _attributes(element, "citizenship", "countryDescription")
                if one != _UNKNOWN
            ]
        ),
        programmes=distinct(_attributes(element, "regulation", "programme")),
    )


def _attributes(element: etree._Element, tag: str, attribute: str) -> list[str]:
    return [text for one in element.findall(f"{{*}}{tag}") if (text := one.get(attribute))]


def _name(alias: etree._Element) -> str:
    parts = (alias.get(part) or "" for part in ("firstName", "middleName", "lastName"))
    return " ".join((alias.get("wholeName") or " ".join(parts)).split())


def _births(element: etree._Element) -> Iterator[str]:
    """Yield dates with their precision: of an approximate one, the year alone."""
    for birth in element.findall("{*}birthdate"):
        exact, year = birth.get("birthdate") or "", birth.get("year") or ""
        is_about = birth.get("circa") == "true"
        if _DATE.fullmatch(exact):
            yield exact[:4] if is_about else exact
        elif _YEAR.fullmatch(year):
            yield year
