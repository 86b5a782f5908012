"""A partner bank's profile as it is asked for, and what is wrong with it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ops.domain.errors import RefusedError
from payment_schemas.ids import IDENTIFIER_PATTERN

ADD = "countersign partners add --help"
SHOW = "countersign partners show"
_ID = re.compile(r"[a-z0-9-]{3,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What `POST /admin/partners` takes."""

    partner: str
    format: str
    partitions: int
    account_prefixes: tuple[str, ...]
    answer_within_s: int
    enquire_after_s: int
    keys: Mapping[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        """The profile as JSON."""
        return asdict(self) | {"account_prefixes": list(self.account_prefixes)}


def check(wanted: Profile) -> None:
    """Raise RefusedError, with the option, for what the profile alone shows to be wrong."""
    if not _ID.fullmatch(wanted.partner):
        raise RefusedError(f"PARTNER: {wanted.partner!r} must be 3 to 32 of a-z 0-9 -", ADD)
    for prefix in wanted.account_prefixes:
        if not re.fullmatch(IDENTIFIER_PATTERN, prefix):
            raise RefusedError(f"--prefix: {prefix!r} must be 1 to 64 of A-Z a-z 0-9 . _ : -", ADD)
    if wanted.enquire_after_s < wanted.answer_within_s:
        raise RefusedError("--enquire-after: must be at least --answer-within", ADD)


def known_as(wanted: Profile, profiles: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether the same profile exists; raise RefusedError where it differs or conflicts."""
    known = False
    for profile in profiles:
        if profile["partner"] == wanted.partner:
            _require_same(wanted, profile)
            known = True
        elif taken := set(wanted.account_prefixes) & set(profile["account_prefixes"]):
            what = f"--prefix: {min(taken)} is that of {profile['partner']}"
            raise RefusedError(what, f"{SHOW} {profile['partner']}")
    return known


def _require_same(wanted: Profile, found: Mapping[str, Any]) -> None:
    for field, value in wanted.body.items():
        if found[field] != value:
            what = f"{field}: {wanted.partner} exists with {_shown(found[field])}"
            raise RefusedError(what, f"{SHOW} {wanted.partner}")


def _shown(value: Any) -> str:
    """Return a value of a profile in a sentence; of keys only their ids."""
    if isinstance(value, Mapping):
        value = [key["kid"] for key in value["keys"]]
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
