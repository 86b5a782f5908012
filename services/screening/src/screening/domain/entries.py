"""What a sanctions list says of one person, organisation, vessel or aircraft. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Schema = Literal["Person", "Organization", "Company", "LegalEntity", "Vessel", "Airplane"]
"""Kind of an entry or of a screened party, by the names of FollowTheMoney."""


class ListError(ValueError):
    """A file is not of the format that it should have; the message names the place."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list."""

    list_name: str
    id: str
    schema: Schema
    names: tuple[str, ...]
    """The primary name first, then the aliases."""
    weak_aliases: tuple[str, ...] = ()
    """Names that only match as a whole: OFAC quotes them and does not require their screening."""
    birth_dates: tuple[str, ...] = ()
    """ISO 8601, with the precision of the list: `1965`, `1965-03` or `1965-03-14`."""
    countries: tuple[str, ...] = ()
    """Names of countries, as the list writes them."""
    programmes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The entry's id among all lists."""
        return f"{self.list_name}:{self.id}"


@dataclass(frozen=True, slots=True)
class SanctionsList:
    """One version of one list."""

    name: str
    version: str
    entries: tuple[Entry, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    """By account of a listed party, without the prefix of a bank: the entry's id."""

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"
