"""The UN Security Council's consolidated list, as XML. Pure.

Source: UN, "United Nations Security Council Consolidated List", consolidated.xml: an `INDIVIDUAL`
or `ENTITY` an entry; what is said of it stands in elements.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from lxml import etree

from screening.domain.documents import distinct, read_elements, text_of, texts_of
from screening.domain.entries import Entry, ListError

_NAMES: Final = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_WEAK: Final = "low"
"""Quality of an alias that the list itself does not rely on."""
_DATE = re.compile(r"[12]\d{3}-\d{2}-\d{2}")
_YEAR = re.compile(r"[12]\d{3}")
MOST_YEARS: Final = 30
"""Of a birth between two years."""


def read_entries(list_name: str, entries: bytes) -> tuple[Entry, ...]:
    """Return the entries of the file. Raises ListError."""
    return read_elements(entries, ["INDIVIDUAL", "ENTITY"], partial(_entry, list_name))


def _entry(list_name: str, element: etree._Element) -> Entry:
    kind = etree.QName(element).localname
    number = text_of(element, "REFERENCE_NUMBER").rstrip(".") or text_of(element, "DATAID")
    whole = " ".join(part for tag in _NAMES if (part := text_of(element, tag)))
    good, weak = _aliases(element, f"{kind}_ALIAS")
    names = distinct([one for one in (whole, text_of(element, "NAME_ORIGINAL_SCRIPT")) if one])
    if not number or not names:
        raise ListError(f"entries: {number or 'an entry'} has no id, or no name")
    return Entry(
        list_name=list_name,
        id=number,
        schema="Person" if kind == "INDIVIDUAL" else "Organization",
        names=distinct([*names, *good]),
        weak_aliases=distinct(weak),
        birth_dates=distinct([*_births(element)]),
        countries=distinct(texts_of(element, "NATIONALITY/VALUE")),
        programmes=distinct(texts_of(element, "UN_LIST_TYPE")),
    )


def _aliases(element: etree._Element, tag: str) -> tuple[list[str], list[str]]:
    """Return good and weak aliases; one element may hold several, between semicolons."""
    good, weak = list[str](), list[str]()
    for alias in element.findall(f"{{*}}{tag}"):
        kept = weak if text_of(alias, "QUALITY").lower() == _WEAK else good
        kept += [name for part in text_of(alias, "ALIAS_NAME").split(";") if (name := part.strip())]
    return good, weak


def _births(element: etree._Element) -> Iterator[str]:
    """Yield dates with their precision: of an approximate one, the year alone."""
    for birth in element.findall("{*}INDIVIDUAL_DATE_OF_BIRTH"):
        is_exact = text_of(birth, "TYPE_OF_DATE").upper() in ("", "EXACT")
        if date := _DATE.match(text_of(birth, "DATE")):
            yield date[0] if is_exact else date[0][:4]
        elif _YEAR.fullmatch(text_of(birth, "YEAR")):
            yield text_of(birth, "YEAR")
        else:
            yield from _between(text_of(birth, "FROM_YEAR"), text_of(birth, "TO_YEAR"))


def _between(first: str, last: str) -> Iterator[str]:
    if _YEAR.fullmatch(first) and _YEAR.fullmatch(last):
        years = range(int(first), int(last) + 1)
        yield from map(str, years[:MOST_YEARS])
