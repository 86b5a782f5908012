"""The providers' SDKs on a transport that threads can share.

Twilio's transport keeps its last response in an attribute that all threads share: a message could
receive another message's result. SendGrid's transport opens a connection for every message.
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

from notification.clients.http_transport import HttpResponse, HttpTransport
from notification.clients.mail_call import body_of
from notification.domain import Attempt, Kind, Message, provider_code

_SUCCESS = range(200, 300)
_CLIENT_ERRORS = range(400, 500)
# These statuses are not about the message: account, unknown URL, timeout, rate limit.
_RETRYABLE = frozenset({401, 403, 404, 408, 429})
# The SDKs raise these for a response that they cannot parse.
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError)


class _ForTwilio(HttpClient):  # type: ignore[misc]  # the SDK's base class is untyped
    """Adapts the transport to Twilio's SDK."""

    def __init__(self, transport: HttpTransport) -> None:
        self._http = transport

    def request(self, method: str, url: str, **call: Any) -> TwilioResponse:
        headers = dict(call.get("headers") or {})
        if auth := call.get("auth"):
            headers |= urllib3.make_headers(basic_auth=":".join(auth))
        response = self._http.send(method, url, headers, urlencode(call.get("data") or {}).encode())
        return TwilioResponse(response.status, response.body.decode(), response.headers)


class _ForSendgrid(SendgridTransport):  # type: ignore[misc]  # the SDK's base class is untyped
    """Adapts the transport to SendGrid's SDK."""

    def __init__(self, transport: HttpTransport, url_path: Sequence[str] = (), **call: Any) -> None:
        super().__init__(url_path=list(url_path), **call)
        self._http = transport

    def _build_client(self, name: str | None = None) -> "_ForSendgrid":
        path = [*self._url_path, name] if name else self._url_path
        return _ForSendgrid(
            self._http,
            path,
            host=self.host,
            version=self._version,
            request_headers=dict(self.request_headers),
        )

    def _make_request(self, _opener: Any, request: Any, timeout: float | None = None) -> Any:  # noqa: ARG002 - the transport has its own
        response = self._http.send(
            request.get_method(), request.full_url, dict(request.header_items()), request.data
        )
        if response.status not in _SUCCESS:
            raise SendgridError(response.status, response.reason, response.body, response.headers)
        return _SendgridResponse(response)


@dataclass(frozen=True, slots=True)
class _SendgridResponse:
    """A response in the form that SendGrid's SDK reads."""

    response: HttpResponse

    def getcode(self) -> int:
        return self.response.status

    def read(self) -> bytes:
        return self.response.body

    def info(self) -> Mapping[str, str]:
        return self.response.headers


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """The Twilio account that sends messages."""

    url: str
    sid: str
    auth_token: str = field(repr=False)
    sender: str
    """The sender's number."""
    callback_url: str


class TwilioSms:
    """Sends text messages. Blocks; safe to share between threads."""

    def __init__(self, account: TwilioAccount, transport: HttpTransport) -> None:
        self._account = account
        client = TwilioClient(account.sid, account.auth_token, http_client=_ForTwilio(transport))
        client.api.base_url = account.url.rstrip("/")
        self._messages = client.messages

    def __call__(self, messages: Sequence[Message]) -> Attempt:
        """Send the only message of a call."""
        (message,) = messages
        try:
            sent = self._messages.create(
                to=message.to.reveal(),
                from_=self._account.sender,
                body=message.text.reveal(),
                status_callback=f"{self._account.callback_url.rstrip('/')}/{message.delivery_id}",
            )
        except TwilioException as error:
            return _failed(getattr(error, "status", 0), getattr(error, "code", None))
        except (urllib3.exceptions.HTTPError, *_UNREADABLE) as error:
            return Attempt(Kind.NOT_TAKEN, type(error).__name__)
        return Attempt(Kind.TAKEN, provider_id=provider_code(sent.sid))


class SendgridMail:
    """Sends e-mails. Blocks; safe to share between threads."""

    def __init__(self, url: str, api_key: str, sender: str, transport: HttpTransport) -> None:
        self._sender = sender
        self._api = SendGridAPIClient(api_key, host=url.rstrip("/"))
        base = self._api.client
        self._api.client = _ForSendgrid(
            transport, host=base.host, version=3, request_headers=base.request_headers
        )

    def __call__(self, mails: Sequence[Message]) -> Attempt:
        """Send the mails in one call, which has one result and one id for all."""
        try:
            response = self._api.send(body_of(mails, self._sender))
            sent = response.headers.get("X-Message-Id")
        except SendgridError as error:
            return _failed(error.status_code)
        except (urllib3.exceptions.HTTPError, *_UNREADABLE) as error:
            return Attempt(Kind.NOT_TAKEN, type(error).__name__)
        return Attempt(Kind.TAKEN, provider_id=provider_code(sent))


def _failed(status: int, code: object = None) -> Attempt:
    if status in _CLIENT_ERRORS and status not in _RETRYABLE:
        return Attempt(Kind.REFUSED, f"provider_{provider_code(str(code or status))}")
    return Attempt(Kind.NOT_TAKEN, f"status_{status}")
