"""`GET /ws`: the statuses of several payments over one WebSocket, for their owner alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.clients.reads import Reads
from gateway.routes.following import Following
from gateway.routes.socket_messages import Message, error_text, parsed, text_of
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.callers import Caller
from service_runtime.edge import Access, Admission
from service_runtime.errors import Unavailable
from service_runtime.push import CLOSING, HEARTBEAT, RECONNECT_MS, Streams
from service_runtime.web import JsonResponse

PROTOCOL = "countersign.v1"
BEARER = "bearer."
TOKEN_WITHIN_S = 10.0
"""As long as the head of a request may take."""
SUBSCRIBED_WITHIN_S = 60.0
"""How long a socket may follow nothing."""
MOST_FAULTS = 20
NORMAL, POLICY, RESTART, LATER = 1000, 1008, 1012, 1013
UNAUTHORIZED, FORBIDDEN = 4401, 4403
"""Codes of a close: RFC 6455 and its registry; an application's own begin at 4000."""
_REFUSALS = {400: POLICY, 401: UNAUTHORIZED, 403: FORBIDDEN}
_CODES = {"expired": UNAUTHORIZED, "stopping": RESTART, "gap": RESTART, "slow": LATER}


class Close(NamedTuple):
    """How the gateway ends a socket."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """Serves one socket: its client names a token, then the payments to follow."""

    admission: Admission
    access: Access
    reads: Reads
    streams: Streams
    origins: Sequence[str] = ()
    """Whose pages may open a socket; none named: all, since no browser sends a token by itself."""

    async def __call__(self, socket: WebSocket) -> None:
        """Serve until the client leaves, its token expires or the gateway stops."""
        if self.origins and socket.headers.get("origin", self.origins[0]) not in self.origins:
            await socket.close()
            return
        is_known = PROTOCOL in socket.scope["subprotocols"]
        following = Following(self.streams, self.reads, socket.send_text)
        try:
            await socket.accept(PROTOCOL if is_known else None)
            close = await _Session(self, socket, following).run()
            await socket.close(*close)
        except WebSocketDisconnect:
            return
        finally:
            following.close()

    async def upgrade_required(self, _request: Request) -> Response:
        """Return 426 to a request that offers no WebSocket."""
        headers = {"Upgrade": "websocket"}
        return JsonResponse({"error": "WebSocket required"}, 426, headers=headers)


@dataclass(slots=True)
class _Session:
    route: SocketRoute
    socket: WebSocket
    following: Following
    caller: Caller | None = None
    token: str = ""
    faults: int = 0

    async def run(self) -> Close:
        """Authenticate, then read and write until either ends."""
        if (refused := await self._begin()) is not None:
            return refused
        await self.socket.send_text(text_of(event="authenticated"))
        if (note := self.route.streams.heartbeat) is not HEARTBEAT:
            await self.socket.send_text(text_of(event="notice", notice=note.data))
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self) -> Close | None:
        """Take the token of the handshake, or of the first message."""
        try:
            self.token = _offered_token(self.socket) or await self._first_token()
            self.caller = await self._admitted()
        except TimeoutError:
            return Close(UNAUTHORIZED, "no token")
        except RefusedError as refused:
            await self.socket.send_text(error_text(refused.answer))
            code = _REFUSALS.get(refused.answer.status, LATER)
            return Close(code, "not authenticated")
        return None

    async def _first_token(self) -> str:
        """Return the token of the first message; none where the handshake needs no token."""
        if "authorization" in self.socket.headers or self.route.admission.anonymous_user:
            return ""
        async with asyncio.timeout(TOKEN_WITHIN_S):
            message = parsed(await self._text())
        if message.verb != "token":
            raise RefusedError(answers.unauthorized("The first message must be a token"))
        return message.value

    async def _read(self) -> Close:
        while self.faults < MOST_FAULTS:
            try:
                wait_s = None if len(self.following) else SUBSCRIBED_WITHIN_S
                async with asyncio.timeout(wait_s):
                    text = await self._text()
            except TimeoutError:
                return Close(NORMAL, "nothing subscribed")
            if (close := await self._handled(text)) is not None:
                return close
        return Close(POLICY, "too many faulty messages")

    async def _handled(self, text: str) -> Close | None:
        message: Message | None = None
        try:
            message = parsed(text)
            await self._act(message)
        except RefusedError as refused:
            self.faults += message is None
            is_about = message is not None and message.verb != "token"
            about = message.value if message is not None and is_about else None
            await self.socket.send_text(error_text(refused.answer, about))
            if refused.answer.status == HTTPStatus.UNAUTHORIZED:
                return Close(UNAUTHORIZED, "not authenticated")
        return None

    async def _act(self, message: Message) -> None:
        user_id = self.caller.user_id if self.caller else ""
        match message.verb:
            case "token":
                await self._renew(message.value, user_id)
            case "subscribe":
                self.caller = await self._admitted()
                await self.following.add(user_id, message)
            case "unsubscribe":
                await self.following.remove(user_id, message.value)

    async def _renew(self, token: str, user_id: str) -> None:
        """Go on with a newer token of the same user."""
        former, self.token = self.token, token
        caller = await self._admitted()
        if caller.user_id != user_id:
            self.token = former
            raise RefusedError(answers.unauthorized("The token is another user's"))
        self.caller = caller
        await self.socket.send_text(text_of(event="authenticated"))

    async def _write(self) -> Close:
        stream = self.following.stream
        while (
            event := await stream.next(self.caller.expires_at if self.caller else 0)
        ) is not None:
            if event.event == CLOSING:
                closing = {"event": CLOSING, "reason": event.data, "retry": RECONNECT_MS}
                await self.socket.send_text(text_of(**closing))
                return Close(_CODES[event.data], event.data)
            if event.event:
                await self.following.deliver(event)
            elif event is not HEARTBEAT:
                await self.socket.send_text(text_of(event="notice", notice=event.data))
        return Close(RESTART, "stopping")

    async def _admitted(self) -> Caller:
        """Check the token, the user's limit of reads and the scope, as a read does."""
        scope = self.socket.scope
        if self.token:
            given = b"authorization", b"Bearer " + self.token.encode("latin-1", "replace")
            others = [header for header in scope["headers"] if header[0] != given[0]]
            scope = {**scope, "headers": [*others, given]}
        connection = HTTPConnection(scope)
        try:
            return await self.route.admission.admit(connection, self.route.access)
        except Unavailable:
            raise RefusedError(answers.unavailable()) from None

    async def _text(self) -> str:
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", NORMAL))
        return message.get("text") or ""


def _offered_token(socket: WebSocket) -> str:
    """Return the token of an offered protocol `bearer.<token>`: a browser can set no header."""
    offered = [one for one in socket.scope["subprotocols"] if one.startswith(BEARER)]
    return offered[0].removeprefix(BEARER) if offered else ""
