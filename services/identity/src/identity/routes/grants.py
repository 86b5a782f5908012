"""`/token` and `/revoke`: what an application gets for a code, and how it goes on and ends."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from identity.clients.tokens import SignedIn
from identity.domain.applications import (
    CODE,
    DEVICE,
    MACHINE,
    OFFLINE,
    OPENID,
    REFRESH,
    STANDARD,
    Client,
)
from identity.domain.authorization import CodeVerdict, Redemption, judge_code
from identity.domain.devices import Poll, judge_poll, next_interval_s
from identity.domain.families import Verdict
from identity.domain.refusals import OAuthError
from identity.domain.subjects import user_subject
from identity.routes.bodies import Nothing, StandardToken, refused, standard
from identity.routes.client_check import ClientCheck, form_of
from identity.routes.commits import Commits
from identity.routes.session_acts import NewSession, NoScopesError, Opened, SessionActs
from identity.routes.tokens import TokenRoutes
from identity.store import Codes, Devices, Sessions, Users
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Personal
from service_runtime import metrics
from service_runtime.forms import FORM
from service_runtime.postgres import PostgresTransaction

TOKEN, REVOKE = "/token", "/revoke"
_grants = metrics.counter("token_grants", "Requests for a person's tokens, by grant and result.")
_SHORT = {CODE: "code", DEVICE: "device", REFRESH: "refresh"}
_POLLS = {
    Poll.PENDING: "nobody has approved it yet",
    Poll.SLOW: "wait five seconds longer between two polls",
    Poll.DENIED: "the person has denied it",
    Poll.EXPIRED: "the device code has expired: begin again",
    Poll.USED: "device_code: unknown or used",
}
_NO_CODE = "code: unknown, used, expired, or not for these values"
_NO_REFRESH = "refresh_token: unknown, used or over; sign in again"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a grant leads to: an open session, or a refusal that is committed with its effects."""

    opened: Opened | None
    error: OAuthError | None = None
    signed_in: SignedIn | None = None
    records: Sequence[AuditRecorded] = ()
    verdict: Verdict | None = None
    """On a refresh token, or on a code that was used twice."""

    @property
    def result(self) -> str:
        """The result for metrics."""
        return self.error.error if self.error else "issued"


Redeem = Callable[[PostgresTransaction, Client, Mapping[str, str]], Awaitable[Granted]]


@dataclass(frozen=True, slots=True)
class GrantRoutes:
    """The token endpoint of OAuth, for applications and machines."""

    clients: ClientCheck
    commits: Commits
    acts: SessionActs
    machines: TokenRoutes

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.post(TOKEN, openapi_extra=_body(_TOKEN_FIELDS), response_model=StandardToken)(
            self.grant
        )
        router.post(REVOKE, openapi_extra=_body(("token",)), response_model=Nothing)(self.revoke)

    async def grant(self, request: Request) -> Response:
        """Return tokens for a code, a device code, a refresh token or a machine's secret.

        A refresh token is used once, and repeated within seconds as at `/auth/refresh`.
        """
        try:
            form = form_of(await request.body())
            client = await self.clients.authenticated(form, request)
            if form.get("grant_type") == MACHINE:
                return await self.machines.by_form(form, client)
            return await self._granted(request, client, form)
        except OAuthError as error:
            return refused(error)

    async def _granted(self, request: Request, client: Client, form: Mapping[str, str]) -> Response:
        grant, redeem = self._grant_of(client, form.get("grant_type", ""))
        outcomes: list[Granted] = []

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            outcomes.append(await redeem(tx, client, form))
            return [self._from(request, record) for record in outcomes[-1].records]

        try:
            await self.commits.run(request, act)
        except NoScopesError:
            raise OAuthError("invalid_grant", "the person has none of these scopes") from None
        found = outcomes[-1]
        _grants.add(1, {"grant": _SHORT[grant], "result": found.result})
        if found.verdict is not None:
            self.acts.note(found.verdict)
        if found.opened is None:
            raise found.error or OAuthError("invalid_grant", _NO_CODE)
        return self._reply(found.opened, found.signed_in)

    def _grant_of(self, client: Client, grant: str) -> tuple[str, Redeem]:
        redeems: Mapping[str, Redeem] = {
            CODE: self._by_code,
            DEVICE: self._by_device,
            REFRESH: self._by_refresh,
        }
        if grant not in redeems:
            raise OAuthError("unsupported_grant_type", "grant_type: not supported")
        if grant != REFRESH and grant not in client.grants:
            raise OAuthError("unauthorized_client", "grant_type: not registered for this client")
        return grant, redeems[grant]

    async def _by_code(
        self, tx: PostgresTransaction, client: Client, form: Mapping[str, str]
    ) -> Granted:
        code, now = Personal(form.get("code", "")), self.commits.clock.now()
        issued = await Codes(tx).locked(code)
        if issued is None:
            return _refusal(_NO_CODE)
        presented = Redemption(
            client.id, form.get("redirect_uri", ""), form.get("code_verifier", "")
        )
        verdict = judge_code(issued, presented, now)
        if verdict is CodeVerdict.REUSED:
            await Sessions(tx).end(issued.session_id, now, "reuse")
            record = self.acts.audited(
                issued.user_id, "AUTHORIZATION_CODE_REUSED", issued.session_id
            )
            return _refusal(_NO_CODE, record)
        await Codes(tx).use(code, now)
        if verdict is CodeVerdict.REFUSED:
            return _refusal(_NO_CODE)
        new = _session(client, issued.user_id, issued.session_id, issued.scopes)
        opened = await self._open(tx, new)
        subject = user_subject(issued.user_id)
        session_id = str(issued.session_id)
        signed_in = SignedIn(subject, client.id, session_id, issued.signed_in_at, issued.nonce)
        return Granted(opened, signed_in=signed_in)

    async def _by_device(
        self, tx: PostgresTransaction, client: Client, form: Mapping[str, str]
    ) -> Granted:
        code, now = Personal(form.get("device_code", "")), self.commits.clock.now()
        device = await Devices(tx).locked(code)
        if device is None or device.client_id != client.id:
            return _refusal(_POLLS[Poll.USED])
        poll = judge_poll(device, now)
        if poll is not Poll.GRANTED or device.user_id is None or device.decided_at is None:
            if poll in (Poll.PENDING, Poll.SLOW):
                await Devices(tx).polled(code, next_interval_s(device, poll), now)
            return Granted(None, OAuthError(poll.value, _POLLS[poll]))
        await Devices(tx).use(code, now)
        new = _session(client, device.user_id, device.session_id, device.scopes)
        opened = await self._open(tx, new)
        subject, session_id = user_subject(device.user_id), str(device.session_id)
        return Granted(
            opened, signed_in=SignedIn(subject, client.id, session_id, device.decided_at)
        )

    async def _open(self, tx: PostgresTransaction, new: NewSession) -> Opened:
        user = await Users(tx).locked(new.user_id)
        if user is None or user.disabled_at is not None:
            raise NoScopesError
        return await self.acts.open(tx, new)

    async def _by_refresh(
        self, tx: PostgresTransaction, client: Client, form: Mapping[str, str]
    ) -> Granted:
        token = Personal(form.get("refresh_token", ""))
        verdict, opened, records = await self.acts.refresh(tx, token, client.id)
        is_over = verdict in (Verdict.REUSED, Verdict.OVER)
        error = OAuthError("invalid_grant", _NO_REFRESH) if is_over else None
        return Granted(opened, error, records=records, verdict=verdict)

    def _reply(self, opened: Opened, signed_in: SignedIn | None) -> Response:
        granted = opened.session.scopes or []
        scopes = [*sorted(opened.scopes), *(one for one in STANDARD if one in granted)]
        body: dict[str, Any] = {
            "access_token": self.acts.access_token(opened),
            "token_type": "Bearer",
            "expires_in": self.acts.issuer.life_s,
            "scope": " ".join(scopes),
        }
        if OFFLINE in granted:
            body["refresh_token"] = opened.token.reveal()
        if OPENID in granted and signed_in is not None:
            body["id_token"] = self.acts.issuer.issue_id(signed_in)
        return standard(body)

    async def revoke(self, request: Request) -> Response:
        """End the session of an own refresh token; an unknown token is no error (RFC 7009)."""
        try:
            form = form_of(await request.body())
            client = await self.clients.authenticated(form, request)
        except OAuthError as error:
            return refused(error)

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            found = await Sessions(tx).presented(Personal(form.get("token", "")))
            if found is None or found[0].client_id != client.id:
                return []
            return await self.acts.end(tx, found[0].id, found[0].user_id, "logout")

        await self.commits.run(request, act)
        return standard({})

    def _from(self, request: Request, record: AuditRecorded) -> AuditRecorded:
        address = self.clients.admission.address(request)
        return record.model_copy(update={"metadata": {"ip_address": address}})


def _session(client: Client, user_id: Any, session_id: Any, scopes: Sequence[str]) -> NewSession:
    return NewSession(user_id, client.kind, client.shown_name, session_id, client.id, list(scopes))


def _refusal(details: str, *reused: AuditRecorded) -> Granted:
    verdict = Verdict.REUSED if reused else None
    return Granted(None, OAuthError("invalid_grant", details), records=reused, verdict=verdict)


_TOKEN_FIELDS = (
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "redirect_uri",
    "code_verifier",
    "device_code",
    "refresh_token",
    "scope",
)


def _body(fields: Sequence[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": [fields[0]],
        "properties": {name: {"type": "string"} for name in fields},
    }
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}
