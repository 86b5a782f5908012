"""Wires the SMS mock."""

import base64
import binascii
import hmac

from fastapi import Request
from fastapi.responses import Response

from mocks.edge import Mock
from mocks.messages import Message, Messages
from mocks.settings import TwilioSettings
from mocks.twilio.sms import API_VERSION, refusal, resource, sms_of
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: TwilioSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("twilio", settings, clock)
    routes = _Routes(settings.twilio_auth_token, mock.clock)
    path = f"/{API_VERSION}/Accounts/{{account_sid}}/Messages.json"
    mock.app.add_route(path, routes.send, methods=["POST"])
    mock.app.add_route("/messages", routes.listed, methods=["GET"])
    return mock.process()


class _Routes:
    def __init__(self, auth_token: str, clock: Clock) -> None:
        self._auth_token = auth_token
        self._clock = clock
        self._messages = Messages()

    async def send(self, request: Request) -> Response:
        account_sid = request.path_params["account_sid"]
        self._authenticate(request, account_sid)
        sms = sms_of(await request.body())
        sid = f"SM{self._clock.new_id().hex}"
        content = {"from": sms.sender, "body": sms.body}
        kept = self._messages.add(Message(sid, sms.to, content, sms.delivery_id))
        return JsonResponse(resource(kept.sid, account_sid, sms, self._clock.now()), 201)

    async def listed(self, request: Request) -> Response:
        # An unquoted "+" of a number arrives as a space, and no number contains a space.
        to = request.query_params.get("to", "").replace(" ", "+") or None
        found = self._messages.to(to)
        return JsonResponse({"messages": [message.listed() for message in found]})

    def _authenticate(self, request: Request, account_sid: str) -> None:
        presented = _basic(request.headers.get("authorization", ""))
        expected = f"{account_sid}:{self._auth_token}".encode()
        if not hmac.compare_digest(presented, expected):
            raise refusal(401, 20003, "Authenticate")


def _basic(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
