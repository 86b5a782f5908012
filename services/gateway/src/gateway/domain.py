"""What the edge decides by itself: who may, how often, and what it passes on. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from math import ceil
from typing import Any

from payment_schemas import answers
from payment_schemas.answers import Answer
from payment_schemas.confirm_body import ConfirmBody
from payment_schemas.events.base import ClientContext
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import RequestId
from payment_schemas.sealed import Sealed

SCOPE = "payment.confirm"
MAX_TOKEN_LIFE_S = 15 * 60
CLOCK_LEEWAY_S = 30
MAX_SUBJECT_CHARACTERS = 128
_TRACEPARENT = re.compile(r"^(00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}\Z")
_COUNTRY = re.compile(r"^[A-Z]{2}\Z")
_FINGERPRINT = re.compile(r"^[\x21-\x7e]{1,128}\Z")
_HOST_AND_PORT = re.compile(
    r"^(?:\[(?P<v6>[^\]]+)\](?::[0-9]{1,5})?|(?P<host>[0-9.]+)(?::[0-9]{1,5})?|(?P<bare>[^\[\]]+))\Z"
)
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified token speaks for."""

    user_id: str
    scopes: frozenset[str]
    expires_at: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class SealedCode:
    """A one-time code as it travels: sealed for otp, and as a tag that only compares."""

    sealed: Sealed
    tag: str


class BadTokenError(ValueError):
    """The token proves nothing; the text says why, without quoting it."""


def caller_of(claims: Mapping[str, Any], now: float) -> Caller:
    """Return who verified claims speak for; raise BadTokenError where a rule is broken.

    Signature, issuer, audience, `exp` and `nbf` have been checked. Source: RFC 9068, RFC 8725.
    """
    subject, expires_at = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS:
        raise BadTokenError("sub: must be 1 to 128 characters")
    if not subject.isprintable():
        # Neither a command nor a row can carry every control character or half of a surrogate.
        raise BadTokenError("sub: must be printable")
    if not isinstance(expires_at, int | float):
        raise BadTokenError("exp: must be a number")
    if expires_at <= now:
        # The leeway is for clocks that begin a token's life, not for its end.
        raise BadTokenError("exp: expired")
    if expires_at > now + MAX_TOKEN_LIFE_S + CLOCK_LEEWAY_S:
        raise BadTokenError("exp: lives longer than 15 minutes")
    scopes = claims.get("scope", "")
    if not isinstance(scopes, str):
        raise BadTokenError("scope: must be a string")
    return Caller(subject, frozenset(scopes.split()), float(expires_at))


def bearer_token(authorization: str) -> str:
    """Return the token of an Authorization header; raise BadTokenError where it has none."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise BadTokenError("A bearer token is required")
    return token


def over_limit(limit: int, reset_in_s: float) -> Answer:
    """429 with the headers of the RateLimit draft: nothing is left for so many seconds."""
    wait_s = max(1, ceil(reset_in_s))
    answer = answers.too_many_requests(wait_s)
    return answer.with_headers(
        RateLimit_Policy=f'"user";q={limit};w=60', RateLimit=f'"user";r=0;t={wait_s}'
    )


def client_address(peer: str, forwarded: str, trusted: list[Network]) -> str:
    """Return the address a request came from: the last one that no trusted proxy vouches for.

    `forwarded` is X-Forwarded-For, whole. Its end was written by the proxy that speaks to us; what
    stands left of the first stranger's address was written by that stranger.
    """
    address = _address(peer) or peer
    for claimed in reversed(forwarded.split(",")):
        found = _address(claimed)
        if found is None or not is_within(address, trusted):
            return address
        address = found
    return address


def client_context(headers: Mapping[str, str], address: str, *, believed: bool) -> ClientContext:
    """Return where a request came from; a country is taken from who is believed alone."""
    country = headers.get("x-client-country", "")
    fingerprint = headers.get("x-device-fingerprint", "")
    return ClientContext(
        ip_address=address,
        device_fingerprint=fingerprint if _FINGERPRINT.match(fingerprint) else None,
        country=country if believed and _COUNTRY.match(country) else None,
    )


def trace_of(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the caller's trace, unsampled, where its header is well-formed.

    Where nothing is recorded here, a stranger's flag must not make others record. Source: W3C Trace
    Context.
    """
    found = _TRACEPARENT.match(headers.get("traceparent", ""))
    return (("traceparent", f"{found[1]}-00"),) if found else ()


def command(
    request_id: RequestId,
    user_id: str,
    body: ConfirmBody,
    code: SealedCode | None,
    context: ClientContext,
) -> ConfirmRequested:
    """Return what confirm is asked; who sends it fills in the answer's partition and its end."""
    return ConfirmRequested(
        request_id=request_id,
        reply_partition=0,
        user_id=user_id,
        transaction_id=body.transaction_id,
        idempotency_key=body.idempotency_key,
        amount=None if body.amount is None else str(body.amount),
        currency=body.currency,
        from_account=body.from_account,
        to_account=body.to_account,
        sealed_code=code.sealed if code else None,
        code_tag=code.tag if code else None,
        context=context,
    )


def _address(text: str) -> str | None:
    """Return an address in its shortest form, without brackets, port or zone; None if it is none.

    An IPv4 address within an IPv6 one is that IPv4 address: it is limited and trusted as such.
    """
    found = _HOST_AND_PORT.match(text.strip().strip('"'))
    if found is None:
        return None
    try:
        address = ip_address((found["v6"] or found["host"] or found["bare"]).partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def is_within(address: str, networks: list[Network]) -> bool:
    """Say whether an address lies in one of the networks."""
    found = _address(address) if networks else None
    return found is not None and any(ip_address(found) in network for network in networks)
