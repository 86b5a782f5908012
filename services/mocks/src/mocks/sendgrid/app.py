"""Wires the e-mail mock."""

import hmac

from fastapi import Request
from fastapi.responses import Response

from mocks.edge import Mock
from mocks.messages import Message, Messages
from mocks.sendgrid.mail import Mail, mails_of, refusal
from mocks.settings import SendgridSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: SendgridSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("sendgrid", settings, clock)
    routes = _Routes(settings.sendgrid_api_key, mock.clock)
    mock.app.add_route("/v3/mail/send", routes.send, methods=["POST"])
    mock.app.add_route("/messages", routes.listed, methods=["GET"])
    return mock.process()


class _Routes:
    def __init__(self, api_key: str, clock: Clock) -> None:
        self._expected = f"Bearer {api_key}".encode()
        self._clock = clock
        self._messages = Messages()

    async def send(self, request: Request) -> Response:
        self._authenticate(request)
        message_id = self._clock.new_id().hex
        kept = [self._keep(message_id, mail) for mail in mails_of(await request.body())]
        # One id for all mails of a request; the first one's if all mails are repeats.
        is_new = any(message.sid == message_id for message in kept)
        return Response(
            status_code=202, headers={"X-Message-Id": message_id if is_new else kept[0].sid}
        )

    async def listed(self, request: Request) -> Response:
        found = self._messages.to(request.query_params.get("to") or None)
        return JsonResponse({"messages": [message.listed() for message in found]})

    def _keep(self, message_id: str, mail: Mail) -> Message:
        content = {"from": mail.sender, "subject": mail.subject, "body": mail.body}
        # Two recipients of one mail are two messages, not repeats.
        return self._messages.add(Message(message_id, mail.to, content, mail.delivery_id))

    def _authenticate(self, request: Request) -> None:
        presented = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(presented, self._expected):
            raise refusal(
                401, "The provided authorization grant is invalid, expired, or revoked", None
            )
