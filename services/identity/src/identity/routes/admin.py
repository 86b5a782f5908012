"""Operators' routes: clients, users and roles."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from identity.domain.applications import (
    CODE,
    MACHINE,
    Client,
    GrantType,
    Kind,
    address_fault,
)
from identity.domain.subjects import CLIENT_ID, is_client_id, is_own, user_id_of, user_subject
from identity.routes.bodies import Body
from identity.routes.session_acts import SessionActs
from identity.store import Clients, Sessions, Users
from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import CUSTOMER_SCOPES, ROLES, SCOPES
from service_runtime.clock import Clock
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.paging import Keyset, Page
from service_runtime.postgres import PostgresTransaction
from service_runtime.proposals import CarryOut, Draft, Proposal, propose
from service_runtime.service import Service
from service_runtime.web import JsonResponse

SET_CLIENT, SET_ROLES = "CLIENT_SET", "ROLES_SET"
"""Acts that need two people; the triggers of the tables name them, too."""
WRITE: Literal["identity.write"] = "identity.write"
GRANT: Literal["roles.grant"] = "roles.grant"
MOST_A_PAGE = 200
MOST_SHOWN = 100
"""Characters of an unknown name in a response."""
Done = Callable[[PostgresTransaction, str, Cause], Awaitable[Reply]]
State = Literal["disable", "enable"]


def _known(kind: str, known: frozenset[str]) -> Callable[[list[str]], list[str]]:
    def check(named: list[str]) -> list[str]:
        if unknown := sorted(set(named) - known):
            raise ValueError(f"{unknown[0][:50]} is no {kind}: {', '.join(sorted(known))}")
        return sorted(set(named))

    return check


def _address(uri: str) -> str:
    if fault := address_fault(uri):
        raise ValueError(fault)
    return uri


Addresses = Annotated[
    list[Annotated[str, AfterValidator(_address)]], Field(max_length=10, default_factory=list)
]


class ClientBody(Body):
    """A client to add or replace. Its secret is not sent: the operator's side hashes it."""

    client_id: Annotated[str, StringConstraints(pattern=CLIENT_ID)]
    name: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{0,60}$")] = ""
    """How a person who signs in to it knows it."""
    kind: Kind = "customer"
    scopes: Annotated[list[str], Field(min_length=1, max_length=20)]
    secrets_sha256: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]],
        Field(max_length=2, default_factory=list),
    ]
    """SHA-256 of secrets of 256 random bits, as hex: during a rotation the new and the former. None
    for a public client, which acts for a person alone."""
    grants: Annotated[
        list[GrantType], Field(min_length=1, max_length=3, default_factory=lambda: [MACHINE])
    ]
    redirect_uris: Addresses
    sign_out_uris: Addresses

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = SCOPES if self.kind == "operator" else CUSTOMER_SCOPES
        self.scopes = _known(f"scope of {self.kind}s", frozenset(known))(self.scopes)
        if MACHINE in self.grants and (self.kind == "operator" or not self.secrets_sha256):
            raise ValueError("grants: client_credentials are for a customer's client with a secret")
        if CODE in self.grants and not self.redirect_uris:
            raise ValueError("redirect_uris: authorization_code needs one")
        return self

    def client(self) -> Client:
        """Return the client."""
        return Client(
            id=self.client_id,
            name=self.name,
            kind=self.kind,
            scopes=self.scopes,
            secrets=self.secrets_sha256,
            grants=sorted(set(self.grants)),
            redirect_uris=self.redirect_uris,
            sign_out_uris=self.sign_out_uris,
        )


class RolesBody(Body):
    """The roles of an operator; an empty list takes all roles away."""

    roles: Annotated[
        list[str], Field(max_length=len(ROLES)), AfterValidator(_known("role", frozenset(ROLES)))
    ]


@dataclass(frozen=True, slots=True)
class AdminRoutes:
    """The routes under `/admin`, and what an approval carries out."""

    service: Service
    sessions: SessionActs

    @property
    def clock(self) -> Clock:
        """The time of what is written."""
        return self.service.clock

    def acts(self) -> dict[str, CarryOut]:
        """Return what an approved proposal does."""
        return {SET_CLIENT: self._set_client, SET_ROLES: self._set_roles}

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        operators, requests = self.service.operators, self.service.requests
        reader = Depends(operators.require("ops.read", is_read=True))
        Writer = Annotated[str, Depends(operators.require(WRITE))]  # noqa: N806 - a type
        Granter = Annotated[str, Depends(operators.require(GRANT))]  # noqa: N806 - a type
        clients = Keyset(["client_id"], [""], MOST_A_PAGE)
        by_user = Keyset(["user_id"], [UUID(int=0)], MOST_A_PAGE)

        @router.get("/admin/clients", dependencies=[reader])
        async def listing(page: Annotated[Page, Depends(clients)]) -> Any:
            """Return a page of clients, without their secrets."""
            async with self.service.database.transaction() as tx:
                found = await Clients(tx).page(page.after[0], page.limit)
            return page.reply("clients", [{"client_id": one.pop("id"), **one} for one in found])

        @router.post("/admin/clients", status_code=202)
        async def client(request: Request, actor: Writer, fields: ClientBody) -> Response:
            """Propose to add a client, or to replace its scopes and secrets."""
            content = fields.client()
            draft = Draft(SET_CLIENT, content.id, asdict(content))
            return await requests.run(request, actor, partial(propose, draft=draft, actor=actor))

        @router.post("/admin/clients/{client_id}/{state}")
        async def client_state(
            request: Request, actor: Writer, client_id: str, state: State
        ) -> Response:
            """Disable or enable a client."""
            act = partial(self._client_state, client_id, state, actor)
            return await requests.run(request, actor, act)

        @router.get("/admin/operators", dependencies=[reader])
        async def listed_operators(page: Annotated[Page, Depends(by_user)]) -> Any:
            """Return a page of operators, with their roles and without personal data."""
            async with self.service.database.transaction() as tx:
                found = await Users(tx).operators(page.after[0], page.limit)
            rows = [{"user": user_subject(one["user_id"]), **one} for one in found]
            return page.reply("operators", rows)

        @router.get("/admin/users/{user}", dependencies=[reader])
        async def user(user: str) -> Response:
            """Return a user without personal data."""
            return await self._user(user)

        @router.post("/admin/users/{user}/roles", status_code=202)
        async def roles(request: Request, actor: Granter, user: str, fields: RolesBody) -> Response:
            """Propose the roles of another operator."""
            act = partial(self._propose_roles, user, fields.roles, actor)
            return await requests.run(request, actor, act)

        @router.post("/admin/users/{user}/{state}")
        async def user_state(request: Request, actor: Writer, user: str, state: State) -> Response:
            """Disable a user, whose sessions end, or enable it."""
            return await requests.run(request, actor, partial(self._user_state, user, state, actor))

    async def _client_state(
        self, client_id: str, state: State, actor: str, tx: PostgresTransaction, cause: Cause
    ) -> Reply:
        at = self.clock.now() if state == "disable" else None
        if not (is_client_id(client_id) and await Clients(tx).set_disabled(client_id, at)):
            return _unknown("client", client_id)
        return Reply(
            {"client_id": client_id}, events=_audited("CLIENT", state, actor, client_id, cause)
        )

    async def _user(self, user: str) -> Response:
        user_id = user_id_of(user)
        async with self.service.database.transaction() as tx:
            users = Users(tx)
            found = await users.found(user_id) if user_id else None
            if found is None:
                raise HTTPException(404, f"Unknown user: {user[:MOST_SHOWN]}")
            shown = {
                "user": user,
                "createdAt": found.created_at,
                "disabledAt": found.disabled_at,
                "roles": await users.roles(found.id),
                "sessions": len(await Sessions(tx).open_of(found.id, self.clock.now())),
            }
        return JsonResponse(shown)

    async def _propose_roles(
        self, user: str, roles: list[str], actor: str, tx: PostgresTransaction, cause: Cause
    ) -> Reply:
        user_id = user_id_of(user)
        if user_id is None or await Users(tx).found(user_id) is None:
            return _unknown("user", user)
        if is_own(actor, user):
            return _of_oneself()
        draft = Draft(SET_ROLES, user, {"user_id": str(user_id), "roles": roles})
        return await propose(tx, cause, draft, actor)

    async def _user_state(
        self, user: str, state: State, actor: str, tx: PostgresTransaction, cause: Cause
    ) -> Reply:
        users, user_id, now = Users(tx), user_id_of(user), self.clock.now()
        if user_id is None or await users.locked(user_id) is None:
            return _unknown("user", user)
        await users.set_disabled(user_id, now if state == "disable" else None)
        ended = await self.sessions.end_all(tx, user_id, "operator") if state == "disable" else 0
        reply = {"user": user, "sessions_ended": ended}
        return Reply(reply, events=_audited("USER", state, actor, user, cause))

    async def _set_client(
        self, tx: PostgresTransaction, proposal: Proposal, _approver: str, _cause: Cause
    ) -> Reply:
        client = Client(**proposal.body)
        await Clients(tx).set(client, self.clock.now())
        return Reply({"client_id": client.id, "scopes": client.scopes})

    async def _set_roles(
        self, tx: PostgresTransaction, proposal: Proposal, approver: str, _cause: Cause
    ) -> Reply:
        if is_own(approver, proposal.about):
            return _of_oneself()
        roles = proposal.body["roles"]
        await Users(tx).set_roles(UUID(proposal.body["user_id"]), roles)
        return Reply({"user": proposal.about, "roles": roles})


def _audited(what: str, state: State, actor: str, about: str, cause: Cause) -> list[Emit]:
    event = AuditRecorded(actor=actor, action=f"{what}_{state.upper()}D", about=about)
    return [Emit(event, cause)]


def _of_oneself() -> Reply:
    # The database refuses it, too.
    return Reply({"error": "Forbidden", "details": "nobody grants roles to oneself"}, 403)


def _unknown(kind: str, name: str) -> Reply:
    return Reply({"error": f"Unknown {kind}: {name[:MOST_SHOWN]}"}, 404)
