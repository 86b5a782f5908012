"""`/authorize`: a person signs in to an application, which gets a code. Source: RFC 6749, 4.1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from identity.domain.applications import Client, origin_of
from identity.domain.authorization import (
    CODE_LIFE,
    AuthorizationRequest,
    IssuedCode,
    check,
    check_address,
)
from identity.domain.families import SECRET_CHARACTERS
from identity.domain.refusals import OAuthError
from identity.routes.client_check import MOST_FIELDS, ClientCheck, form_of
from identity.routes.commits import Commits
from identity.routes.pages import SignInForm, credentials_of, forged, is_own, message, style
from identity.routes.session_acts import SECRET, NoScopesError, SessionActs
from identity.routes.sign_ins import SignIns, Unchanged
from identity.store import Codes, User
from payment_schemas.answers import RefusedError
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Personal
from service_runtime.errors import Unavailable
from service_runtime.postgres import PostgresTransaction

AUTHORIZE = "/authorize"
_REFUSED = (RefusedError, Unavailable, TimeoutError)
"""What a sign-in may end with, shown on the page."""
_NOT_SIGNED_IN = "Not signed in"


@dataclass(frozen=True, slots=True)
class AuthorizeRoutes:
    """The page of the authorization code flow."""

    clients: ClientCheck
    sign_ins: SignIns
    commits: Commits
    acts: SessionActs

    @property
    def issuer(self) -> str:
        """The address of this issuer."""
        return self.acts.issuer.issuer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes; pages are in no description of an API."""
        add = router.add_api_route
        add(AUTHORIZE, self.show, methods=["GET"], include_in_schema=False)
        add(AUTHORIZE, self.decide, methods=["POST"], include_in_schema=False)
        add("/auth/style.css", style, methods=["GET"], include_in_schema=False)

    async def show(self, request: Request) -> Response:
        """Return the sign-in page, or send the browser back with an error."""
        given = request.query_params.multi_items()
        if len({name for name, _ in given}) < len(given) or len(given) > MOST_FIELDS:
            return message(
                _NOT_SIGNED_IN, "A parameter is given twice, or there are too many.", 400
            )
        found = await self._asked(dict(given))
        return found if isinstance(found, Response) else _form(*found).shown()

    async def decide(self, request: Request) -> Response:
        """Send the browser back with a code, or show the page again."""
        try:
            fields = form_of(await request.body())
        except OAuthError as error:
            return message(_NOT_SIGNED_IN, str(error), 400)
        if not is_own(request, self.issuer):
            return forged()
        found = await self._asked(fields)
        if isinstance(found, Response):
            return found
        asked, client = found
        if fields.get("decision") != "approve":
            return self._back(asked, OAuthError("access_denied", "the person has denied it"))
        return await self._sign_in(request, fields, asked, client)

    async def _asked(
        self, fields: Mapping[str, str]
    ) -> tuple[AuthorizationRequest, Client] | Response:
        """Return request and client, or the response that refuses them."""
        asked = AuthorizationRequest.of(fields)
        try:
            client = check_address(asked, await self.clients.known(asked.client_id))
        except OAuthError as error:
            return message(_NOT_SIGNED_IN, str(error), 400)
        try:
            check(asked)
        except OAuthError as error:
            return self._back(asked, error)
        return asked, client

    def _back(self, asked: AuthorizationRequest, error: OAuthError) -> Response:
        found = {"error": error.error, "error_description": str(error)}
        return RedirectResponse(asked.returned(self.issuer, **found), 303)

    async def _sign_in(
        self,
        request: Request,
        fields: Mapping[str, str],
        asked: AuthorizationRequest,
        client: Client,
    ) -> Response:
        form, credentials = _form(asked, client), credentials_of(fields)
        entered = fields.get("email", "")[:300]
        if credentials is None:
            return form.refused(ValueError(), entered)
        try:
            user, unchanged = await self.sign_ins.verified(
                request, credentials.email, credentials.password
            )
            code = await self._issued(request, asked, client, user, unchanged)
            await self.sign_ins.accepted(credentials.email)
        except _REFUSED as error:
            return form.refused(error, entered)
        except NoScopesError:
            denied = OAuthError("access_denied", "the person has none of these scopes")
            return self._back(asked, denied)
        return RedirectResponse(asked.returned(self.issuer, code=code), 303)

    async def _issued(
        self,
        request: Request,
        asked: AuthorizationRequest,
        client: Client,
        user: User,
        unchanged: Unchanged,
    ) -> str:
        clock, scopes = self.commits.clock, client.granted(asked.scope)
        code, now = Personal(clock.text(SECRET, SECRET_CHARACTERS)), clock.now()
        issued = IssuedCode(
            client_id=client.id,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            scopes=scopes,
            nonce=asked.nonce,
            user_id=user.id,
            session_id=clock.new_id(),
            signed_in_at=now,
            expires_at=now + CODE_LIFE,
        )

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            await unchanged(tx)
            if not await self.acts.scopes(tx, user.id, client.kind, scopes):
                raise NoScopesError
            await Codes(tx).add(code, issued)
            record = self.acts.audited(user.id, "SIGNED_IN", issued.session_id)
            address = self.sign_ins.admission.address(request)
            about = {"ip_address": address, "client": client.id}
            return [record.model_copy(update={"metadata": about})]

        await self.commits.run(request, act)
        return code.reveal()


def _form(asked: AuthorizationRequest, client: Client) -> SignInForm:
    return SignInForm(
        action=AUTHORIZE,
        title=f"Sign in to {client.shown_name}",
        client=client.shown_name,
        scopes=client.granted(asked.scope),
        hidden=asked.fields,
        returns_to=origin_of(asked.redirect_uri),
    )
