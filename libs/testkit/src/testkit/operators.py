"""Operators for tests: tokens of the test issuer, and what admits them."""

from collections.abc import Iterator, Mapping
from typing import Any

from service_runtime.clock import SystemClock
from service_runtime.credentials import Credentials
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.tokens import TokenRules, TokenVerifier
from testkit.tokens import ISSUER, MemoryKeys, token

OPERATOR_AUDIENCE = "countersign-operators"


def operators(machines: str = "{}") -> Operators:
    """Return what admits the test issuer's operators, and machines by their credentials."""
    verifier = TokenVerifier(MemoryKeys(), TokenRules(ISSUER, OPERATOR_AUDIENCE))
    return Operators(verifier, ISSUER, Credentials(machines))


class SignedIn(Mapping[str, str]):
    """The header of an operator; each look issues a token, as one lives for minutes only.

    Modules make their headers when they are collected, long before the last test runs.
    """

    def __init__(self, name: str, scopes: str) -> None:
        self._name = name
        self._scopes = scopes

    def __getitem__(self, name: str) -> str:
        if name != "Authorization":
            raise KeyError(name)
        issued = token(sub=self._name, aud=OPERATOR_AUDIENCE, scope=self._scopes)
        return f"Bearer {issued}"

    def __iter__(self) -> Iterator[str]:
        yield "Authorization"

    def __len__(self) -> int:
        return 1

    def __or__(self, more: Mapping[str, str]) -> dict[str, str]:
        return {**self, **more}


def signed_in(*scopes: str, name: str = "alice") -> SignedIn:
    """Return the header of an operator with these scopes."""
    return SignedIn(name, " ".join(scopes))


def actor(name: str = "alice") -> str:
    """Return the identity of a test's operator."""
    return f"{ISSUER}|{name}"


def approval_of(proposed: Mapping[str, str]) -> dict[str, Any]:
    """Return the request that approves a proposal as it was read: address and body."""
    path = f"/admin/proposals/{proposed['proposal']}/approve"
    return {"url": path, "json": {"digest": proposed["digest"]}}


async def approve(tx: PostgresTransaction, act: str, body: Any) -> None:
    """Approve an act of this transaction, as two people would have."""
    proposal = SystemClock().new_id()
    await tx.run(
        """insert into proposal (id, act, about, body, proposed_by)
           values (%(id)s, %(act)s, 'a test', %(body)s, 'alice')""",
        id=proposal,
        act=act,
        body=json_rows(body),
    )
    await tx.run(
        """insert into approval (proposal_id, act, proposed_by, expires_at, digest, approved_by)
           select id, act, proposed_by, expires_at, digest, 'bob' from proposal
           where id = %(id)s""",
        id=proposal,
    )
