"""Names as rigour analyses them: parts, symbols, and the entities that LogicV2 compares. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from followthemoney import EntityProxy, model
from followthemoney.names import schema_type_tag
from nomenklatura.matching.logic_v2.names.magic import extra_match_weights
from rigour.names import Name, NamePartTag, NameTypeTag, analyze_names
from rigour.names.tokenize import tokenize_name

from screening.domain.entries import Entry, Schema

MOST_JOINED: Final = 3
"""Neighbouring parts that may be written as one: `van der bilt`. Pairs alone lose a hit."""
STOP_MATCHED: Final = 0.7
STOP_UNMATCHED: Final = 0.5 * 0.7
_fresh = count()


@dataclass(frozen=True, slots=True)
class Party:
    """Who is screened."""

    name: str = field(repr=False)
    schema: Schema = "LegalEntity"
    """LegalEntity: a person or an organisation, it is not known which."""
    birth_date: str | None = None
    country: str | None = None

    @property
    def kind(self) -> Schema:
        """What the party is compared as: who has a birth date is a person."""
        return "Person" if self.birth_date and self.schema == "LegalEntity" else self.schema


def query_names(party: Party) -> list[Name]:
    """Return the analyses of a party's name, as `entity_names` of LogicV2 makes them of a query."""
    tag = type_tag(party.kind)
    return sorted(
        analyze_names(tag, [party.name], {}, infer_initials=True, consolidate=False),
        key=lambda name: name.form,
    )


def list_names(tag: NameTypeTag, names: Sequence[str]) -> list[Name]:
    """Return the analyses of an entry's names, as `entity_names` makes them of a candidate."""
    analysed = analyze_names(
        tag, list(names), {}, infer_initials=False, phonetics=False, consolidate=False
    )
    return sorted(analysed, key=lambda name: name.form)


def type_tag(schema: Schema) -> NameTypeTag:
    """Return the kind of names that entities of a schema have."""
    return schema_type_tag(model[schema])


def query_entity(party: Party) -> EntityProxy:
    """Return the party for LogicV2, under an id of its own.

    LogicV2 keeps the analysed names of an entity by its id: two parties under one id would be
    compared by the name of the first.
    """
    entity = model.make_entity(party.kind)
    entity.id = f"query-{next(_fresh)}"
    _add(entity, "name", (party.name,))
    _add(entity, "birthDate", () if party.birth_date is None else (party.birth_date,))
    _add(entity, "country", () if party.country is None else (party.country,))
    return entity


def entry_entity(entry: Entry, generation: int) -> EntityProxy:
    """Return an entry for LogicV2; its id names the index too, for the same reason."""
    entity = model.make_entity(entry.schema)
    entity.id = f"{generation}:{entry.key}"
    _add(entity, "name", entry.names)
    _add(entity, "weakAlias", entry.weak_aliases)
    _add(entity, "birthDate", entry.birth_dates)
    _add(entity, "nationality" if entry.schema == "Person" else "country", entry.countries)
    return entity


def _add(entity: EntityProxy, name: str, values: Iterable[str]) -> None:
    if name in entity.schema.properties:
        for value in values:
            entity.add(name, value, quiet=True)


def joined(name: Name) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the places and the text of two and of three neighbouring parts as one."""
    seen = set[tuple[int, ...]]()
    for order in _orders(name):
        for width in range(2, MOST_JOINED + 1):
            for at in range(len(order) - width + 1):
                places = tuple(order[at : at + width])
                if places not in seen:
                    seen.add(places)
                    yield places, "".join(name.parts[place].comparable for place in places)


def _orders(name: Name) -> list[list[int]]:
    """Return the parts as written, and `LAST, First` also as LogicV2 aligns it: `First LAST`."""
    written = list(range(len(name.parts)))
    family, comma, _ = name.form.partition(",")
    if not comma:
        return [written]
    first = len(tokenize_name(family))
    return [written, written[first:] + written[:first]]


def weights(name: Name) -> list[tuple[float, float]]:
    """Return of each part its highest weight when matched, and its lowest when not."""
    biases = extra_match_weights(name)
    return [
        (STOP_MATCHED, STOP_UNMATCHED)
        if part.tag == NamePartTag.STOP
        else (1.0, min(1.0, biases.get((part,), 1.0)))
        for part in name.parts
    ]


def is_of_single_han(name: str) -> bool:
    """Return whether every part of a name is one Han character: thousands of people share it."""
    parts = name.split()
    return bool(parts) and all(len(part) == 1 and "\u4e00" <= part <= "\u9fff" for part in parts)
