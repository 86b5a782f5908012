"""`/end-session`: an application ends the session of its person.

Source: OpenID Connect RP-Initiated Logout 1.0. The ID token names the session, so that no other
site can end one. Nobody is signed in at this issuer itself: each application asks for the password.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from identity.domain.refusals import OAuthError
from identity.routes.client_check import ClientCheck, form_of
from identity.routes.commits import Commits
from identity.routes.pages import message
from identity.routes.session_acts import SessionActs
from identity.store import Sessions
from payment_schemas.events.record import AuditRecorded
from service_runtime.postgres import PostgresTransaction

END_SESSION = "/end-session"
MOST_STATE = 1024


@dataclass(frozen=True, slots=True)
class SignOutRoutes:
    """The route that ends a session by an ID token."""

    clients: ClientCheck
    commits: Commits
    acts: SessionActs

    def add_to(self, router: APIRouter) -> None:
        """Add the route, by both methods."""
        router.add_api_route(END_SESSION, self.by_query, methods=["GET"], include_in_schema=False)
        router.add_api_route(END_SESSION, self.by_form, methods=["POST"], include_in_schema=False)

    async def by_query(self, request: Request) -> Response:
        """End the session that the address names."""
        return await self._end(request, dict(request.query_params))

    async def by_form(self, request: Request) -> Response:
        """End the session that the form names."""
        try:
            return await self._end(request, form_of(await request.body()))
        except OAuthError as error:
            return message("Not signed out", str(error), 400)

    async def _end(self, request: Request, fields: Mapping[str, str]) -> Response:
        named = self.acts.issuer.session_of(fields.get("id_token_hint", ""))
        client = await self.clients.known(named[0]) if named else None
        if named is None or client is None or fields.get("client_id", client.id) != client.id:
            return message("Not signed out", "Sign out in the application itself.", 400)
        address = fields.get("post_logout_redirect_uri")
        if address is not None and address not in client.sign_out_uris:
            return message("Not signed out", "The address to return to is not registered.", 400)

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            session_id = UUID(named[1])
            user_id = await Sessions(tx).owner_of(session_id)
            return await self.acts.end(tx, session_id, user_id, "logout") if user_id else []

        with contextlib.suppress(ValueError):
            await self.commits.run(request, act)
        if address is None:
            return message("Signed out", f"You are signed out of {client.shown_name}.")
        state = fields.get("state", "")[:MOST_STATE]
        joint = "&" if "?" in address else "?"
        return RedirectResponse(
            address + (joint + urlencode({"state": state}) if state else ""), 303
        )
