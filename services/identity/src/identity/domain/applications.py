"""Clients: machines that get tokens by a secret, and applications that sign a person in. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

Kind = Literal["customer", "operator"]
GrantType = Literal[
    "client_credentials", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"
]
MACHINE, CODE, DEVICE = GRANTS = get_args(GrantType)
REFRESH = "refresh_token"
"""No grant of its own: whoever signs a person in with `offline_access` may refresh."""
OPENID, OFFLINE = STANDARD = ("openid", "offline_access")
MOST_URI_CHARACTERS = 300
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_URI = re.compile(r"[A-Za-z0-9:/?&=%._~\[\]-]+")
"""Nothing that would end a directive of a Content-Security-Policy, and no fragment."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client. Without a secret it is public; `secrets` are SHA-256 as hex."""

    id: str
    scopes: Sequence[str]
    secrets: Sequence[str]
    name: str = ""
    kind: Kind = "customer"
    grants: Sequence[str] = (MACHINE,)
    redirect_uris: Sequence[str] = ()
    sign_out_uris: Sequence[str] = ()

    @property
    def is_public(self) -> bool:
        """Whether it has no secret."""
        return not self.secrets

    @property
    def shown_name(self) -> str:
        """How a person knows it."""
        return self.name or self.id

    def granted(self, asked: str) -> list[str]:
        """Return the scopes that it gets of those asked for, sorted; all where none is named.

        Unknown ones are left out (RFC 6749, 3.3); the person's own scopes still bound the result.
        """
        named = set(asked.split())
        standard = named.intersection(STANDARD)
        scopes = set(self.scopes) & (named - standard or set(self.scopes))
        return sorted(scopes | standard)


def of_resources(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes without those that speak of tokens."""
    return frozenset(scopes).difference(STANDARD)


def address_fault(uri: str) -> str | None:
    """Say why a browser cannot be returned to an address; None where it can.

    `https`, or the own machine (RFC 8252, 7.3); compared as a whole later, so nothing is a pattern.
    """
    if len(uri) > MOST_URI_CHARACTERS or not _URI.fullmatch(uri):
        return f"must be an address of at most {MOST_URI_CHARACTERS} plain characters, no fragment"
    try:
        parts = urlsplit(uri)
        is_own = parts.scheme == "http" and parts.hostname in _LOOPBACK
        is_valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_valid = is_own = False
    if not is_valid or "@" in uri or not (is_own or parts.scheme == "https"):
        return "must begin with https://, or with http:// and the address of the own machine"
    return None


def origin_of(uri: str) -> str:
    """Return scheme and host of an address."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"
