"""`/device`: a person signs a device in, by the code that it shows. Source: RFC 8628, 3.3."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from identity.domain.applications import DEVICE, Client
from identity.domain.devices import (
    CODE_CHARACTERS,
    CODE_LETTERS,
    INTERVAL_S,
    LIFE,
    Device,
    shown,
    typed,
)
from identity.domain.families import SECRET_CHARACTERS
from identity.domain.refusals import OAuthError
from identity.routes.bodies import DeviceAuthorization, refused, standard
from identity.routes.client_check import ClientCheck, form_of
from identity.routes.commits import Act, Commits
from identity.routes.pages import (
    SignInForm,
    code_page,
    credentials_of,
    forged,
    is_own,
    message,
)
from identity.routes.session_acts import SECRET, NoScopesError, SessionActs
from identity.routes.sign_ins import SignIns, Unchanged
from identity.store import Devices
from payment_schemas.answers import RefusedError
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Personal
from service_runtime.errors import Unavailable
from service_runtime.forms import FORM
from service_runtime.postgres import PostgresTransaction

BEGIN, PAGE = "/device_authorization", "/device"
_NOT_SIGNED_IN = "Not signed in"
_UNKNOWN = "This code is unknown, used or expired."
_RETURN = "You can close this page and return to the device."
_BODY = {"type": "object", "properties": {"client_id": {"type": "string"}}}


@dataclass(frozen=True, slots=True)
class DeviceRoutes:
    """The routes of a device's sign-in; its polls come to `/token`."""

    clients: ClientCheck
    sign_ins: SignIns
    commits: Commits
    acts: SessionActs

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        content = {FORM: {"schema": _BODY}}
        body = {"requestBody": {"required": True, "content": content}}
        router.post(BEGIN, openapi_extra=body, response_model=DeviceAuthorization)(self.begin)
        router.add_api_route(PAGE, self.show, methods=["GET"], include_in_schema=False)
        router.add_api_route(PAGE, self.decide, methods=["POST"], include_in_schema=False)

    async def begin(self, request: Request) -> Response:
        """Begin the sign-in of a device."""
        try:
            form = form_of(await request.body())
            client = await self.clients.authenticated(form, request)
            if DEVICE not in client.grants:
                error = "grant_type: not registered for this client"
                raise OAuthError("unauthorized_client", error)  # noqa: TRY301
            await self.sign_ins.attempts.device(self.sign_ins.admission.address(request))
        except OAuthError as error:
            return refused(error)
        return await self._begun(request, client, client.granted(form.get("scope", "")))

    async def _begun(self, request: Request, client: Client, scopes: Sequence[str]) -> Response:
        clock = self.commits.clock
        code = Personal(clock.text(SECRET, SECRET_CHARACTERS))
        device = Device(
            user_code=clock.text(CODE_LETTERS, CODE_CHARACTERS),
            client_id=client.id,
            scopes=scopes,
            interval_s=INTERVAL_S,
            expires_at=clock.now() + LIFE,
            session_id=clock.new_id(),
        )

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            await Devices(tx).add(code, device)
            return []

        await self.commits.run(request, act)
        page, user_code = self.acts.issuer.issuer + PAGE, shown(device.user_code)
        return standard(
            {
                "device_code": code.reveal(),
                "user_code": user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={user_code}",
                "expires_in": int(LIFE.total_seconds()),
                "interval": device.interval_s,
            }
        )

    async def show(self, request: Request) -> Response:
        """Ask for the code; with one in the address, for the person's sign-in."""
        entered = request.query_params.get("user_code")
        if entered is None:
            return code_page()
        found = await self._waiting(request, entered)
        return found if isinstance(found, Response) else _form(*found).shown()

    async def decide(self, request: Request) -> Response:
        """Approve or deny a device."""
        try:
            fields = form_of(await request.body())
        except OAuthError as error:
            return message(_NOT_SIGNED_IN, str(error), 400)
        if not is_own(request, self.acts.issuer.issuer):
            return forged()
        found = await self._waiting(request, fields.get("user_code", ""))
        if isinstance(found, Response):
            return found
        if fields.get("decision") == "approve":
            return await self._approve(request, fields, *found)
        await self.commits.run(request, partial(self._deny, found[0].user_code))
        return message("The device was denied", _RETURN)

    async def _waiting(self, request: Request, entered: str) -> tuple[Device, Client] | Response:
        """Return a waiting device and its client, or the page that asks for another code."""
        try:
            await self.sign_ins.attempts.device(self.sign_ins.admission.address(request))
        except (RefusedError, Unavailable) as error:
            return code_page(*_fault_of(error))
        code = typed(entered)
        async with self.clients.database.transaction() as tx:
            device = await Devices(tx).waiting(code, self.commits.clock.now()) if code else None
        client = await self.clients.known(device.client_id) if device else None
        return (device, client) if device and client else code_page(_UNKNOWN, 400)

    async def _approve(
        self, request: Request, fields: Mapping[str, str], device: Device, client: Client
    ) -> Response:
        form, credentials = _form(device, client), credentials_of(fields)
        entered = fields.get("email", "")[:300]
        if credentials is None:
            return form.refused(ValueError(), entered)
        try:
            user, unchanged = await self.sign_ins.verified(
                request, credentials.email, credentials.password
            )
            address = self.sign_ins.admission.address(request)
            act = self._grant(user.id, unchanged, device, client, address)
            await self.commits.run(request, act)
            await self.sign_ins.accepted(credentials.email)
        except (RefusedError, Unavailable, TimeoutError) as error:
            return form.refused(error, entered)
        except NoScopesError:
            return message(_NOT_SIGNED_IN, "You have none of the rights that it asks for.", 403)
        except LookupError:
            return code_page(_UNKNOWN, 400)
        return message("The device is signed in", _RETURN)

    def _grant(
        self, user_id: UUID, unchanged: Unchanged, device: Device, client: Client, address: str
    ) -> Act:
        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            await unchanged(tx)
            if not await self.acts.scopes(tx, user_id, client.kind, device.scopes):
                raise NoScopesError
            await self._decide(tx, device.user_code, user_id)
            record = self.acts.audited(user_id, "SIGNED_IN", device.session_id)
            metadata = {"ip_address": address, "client": client.id}
            return [record.model_copy(update={"metadata": metadata})]

        return act

    async def _deny(self, user_code: str, tx: PostgresTransaction) -> Sequence[AuditRecorded]:
        with contextlib.suppress(LookupError):
            await self._decide(tx, user_code, None)
        return []

    async def _decide(self, tx: PostgresTransaction, user_code: str, user_id: UUID | None) -> None:
        """Decide a device that waits; raise LookupError for one that does not any more."""
        now, devices = self.commits.clock.now(), Devices(tx)
        if await devices.waiting(user_code, now) is None:
            raise LookupError
        await devices.decide(user_code, user_id, now)


def _form(device: Device, client: Client) -> SignInForm:
    return SignInForm(
        action=PAGE,
        title="Sign a device in",
        client=client.shown_name,
        scopes=device.scopes,
        hidden={"user_code": device.user_code},
        code=shown(device.user_code),
    )


def _fault_of(error: Exception) -> tuple[str, int]:
    if isinstance(error, RefusedError):
        return "Too many attempts. Try again in 15 minutes.", error.answer.status
    return "Nobody can sign in at the moment. Try again in a minute.", 503
