"""The providers through their own SDKs, on a transport that threads can share.

Twilio's own transport keeps its last answer in an attribute that all threads share, so that one
message could be told another's outcome; SendGrid's opens a connection for every message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from python_http_client.client import Client as SendgridTransport
from python_http_client.exceptions import HTTPError as SendgridError
from sendgrid import SendGridAPIClient
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.rest import Client as TwilioClient

from notification.clients.http_transport import Answer, HttpTransport
from notification.domain import Attempt, Kind, Message, provider_code

_SUCCESS = range(200, 300)
_CLIENT_ERRORS = range(400, 500)
# Not about what stands in the message: our account, an unknown address, patience, a limit.
_NOT_ADMITTED = frozenset({401, 403, 404, 408, 429})
# What the SDKs raise on an answer that is no answer of theirs.
_NONSENSE = (ValueError, TypeError, AttributeError, KeyError)


class _ForTwilio(HttpClient):  # type: ignore[misc]  # the SDK's base class is untyped
    """The transport as twilio's SDK asks for it."""

    def __init__(self, transport: HttpTransport) -> None:
        self._wire = transport

    def request(self, method: str, url: str, **given: Any) -> TwilioResponse:
        headers = dict(given.get("headers") or {})
        if auth := given.get("auth"):
            headers |= urllib3.make_headers(basic_auth=":".join(auth))
        answer = self._wire.send(method, url, headers, urlencode(given.get("data") or {}).encode())
        return TwilioResponse(answer.status, answer.body.decode(), answer.headers)


class _ForSendgrid(SendgridTransport):  # type: ignore[misc]  # the SDK's base class is untyped
    """The transport as sendgrid's SDK asks for it."""

    def __init__(
        self, transport: HttpTransport, url_path: Sequence[str] = (), **given: Any
    ) -> None:
        super().__init__(url_path=list(url_path), **given)
        self._wire = transport

    def _build_client(self, name: str | None = None) -> "_ForSendgrid":
        path = [*self._url_path, name] if name else self._url_path
        return _ForSendgrid(
            self._wire,
            path,
            host=self.host,
            version=self._version,
            request_headers=dict(self.request_headers),
        )

    def _make_request(self, _opener: Any, request: Any, timeout: float | None = None) -> Any:  # noqa: ARG002 - the wire has one of its own
        answer = self._wire.send(
            request.get_method(), request.full_url, dict(request.header_items()), request.data
        )
        if answer.status not in _SUCCESS:
            raise SendgridError(answer.status, answer.reason, answer.body, answer.headers)
        return _Opened(answer)


@dataclass(frozen=True, slots=True)
class _Opened:
    """An answer as sendgrid's SDK reads one."""

    answer: Answer

    def getcode(self) -> int:
        return self.answer.status

    def read(self) -> bytes:
        return self.answer.body

    def info(self) -> Mapping[str, str]:
        return self.answer.headers


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """Whose account messages are sent with."""

    url: str
    sid: str
    auth_token: str = field(repr=False)
    sender: str
    """The number that messages come from."""
    callback_url: str


class TwilioSms:
    """Sends text messages. Blocks; safe to share between threads."""

    def __init__(self, account: TwilioAccount, transport: HttpTransport) -> None:
        self._account = account
        client = TwilioClient(account.sid, account.auth_token, http_client=_ForTwilio(transport))
        client.api.base_url = account.url.rstrip("/")
        self._messages = client.messages

    def __call__(self, message: Message) -> Attempt:
        try:
            sent = self._messages.create(
                to=message.to.reveal(),
                from_=self._account.sender,
                body=message.text.reveal(),
                status_callback=f"{self._account.callback_url.rstrip('/')}/{message.delivery_id}",
            )
        except TwilioException as error:
            return _failed(getattr(error, "status", 0), getattr(error, "code", None))
        except (urllib3.exceptions.HTTPError, *_NONSENSE) as error:
            return Attempt(Kind.NOT_TAKEN, type(error).__name__)
        return Attempt(Kind.TAKEN, provider_id=provider_code(sent.sid))


class SendgridMail:
    """Sends mails. Blocks; safe to share between threads."""

    def __init__(self, url: str, api_key: str, sender: str, transport: HttpTransport) -> None:
        self._sender = sender
        self._api = SendGridAPIClient(api_key, host=url.rstrip("/"))
        base = self._api.client
        self._api.client = _ForSendgrid(
            transport, host=base.host, version=3, request_headers=base.request_headers
        )

    def __call__(self, message: Message) -> Attempt:
        try:
            answer = self._api.send(self._body(message))
            sent = answer.headers.get("X-Message-Id")
        except SendgridError as error:
            return _failed(error.status_code)
        except (urllib3.exceptions.HTTPError, *_NONSENSE) as error:
            return Attempt(Kind.NOT_TAKEN, type(error).__name__)
        return Attempt(Kind.TAKEN, provider_id=provider_code(sent))

    def _body(self, message: Message) -> dict[str, Any]:
        recipient = {
            "to": [{"email": message.to.reveal()}],
            "custom_args": {"delivery_id": str(message.delivery_id)},
        }
        return {
            "personalizations": [recipient],
            "from": {"email": self._sender},
            "subject": message.subject,
            "content": [{"type": "text/plain", "value": message.text.reveal()}],
        }


def _failed(status: int, code: object = None) -> Attempt:
    if status in _CLIENT_ERRORS and status not in _NOT_ADMITTED:
        return Attempt(Kind.REFUSED, f"provider_{provider_code(str(code or status))}")
    return Attempt(Kind.NOT_TAKEN, f"status_{status}")
