"""The provider of identity checks, by Onfido's API 3.6: applicants, documents, checks, webhooks."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import aiohttp
import orjson

from compliance.domain.kyc import DocumentType, Result
from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.errors import Rejected
from service_runtime.http_client import CLIENT_ERROR, NoAnswer, RequestNotSent, ServerFailed
from service_runtime.keys import SecretFile

SIGNATURE = "X-SHA2-Signature"
MOST_REPLY_BYTES = 1024 * 1024
TOO_MANY = 429
NOT_FOUND = 404
SERVER_ERROR = 500
_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf"}
_COMPLETE, _WITHDRAWN = "complete", "withdrawn"


class BadWebhookError(ValueError):
    """A webhook without a valid signature, or one that cannot be read."""


class ProviderRefusedError(Rejected):
    """The provider will not take this request: a person looks at the row."""

    reason = "provider_refused"


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """A check as the provider has it."""

    id: str
    result: Result | None
    """None while it is in progress."""


class Provider(Protocol):
    """Verifies identities. Methods raise Unavailable, or ProviderRefusedError."""

    async def create_applicant(self, stated: dict[str, Any]) -> str:
        """Create an applicant; return its id."""
        ...

    async def upload(self, applicant_id: str, kind: DocumentType, file: tuple[str, bytes]) -> None:
        """Upload a document: media type and content."""
        ...

    async def checks_of(self, applicant_id: str) -> Sequence[ProviderCheck]:
        """Return an applicant's checks: of a call whose reply was lost, too."""
        ...

    async def create_check(self, applicant_id: str, reports: Sequence[str]) -> ProviderCheck:
        """Begin a check."""
        ...

    async def check(self, check_id: str) -> ProviderCheck:
        """Return a check."""
        ...

    async def delete_applicant(self, applicant_id: str) -> None:
        """Delete an applicant with all that belongs to it; one that is gone is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """The account at the provider."""

    url: str
    """With the version: https://api.eu.onfido.com/v3.6."""
    api_token: SecretFile[str]
    webhook_token: SecretFile[str]
    timeout_s: float


class Onfido:
    """The provider over HTTP."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: aiohttp.ClientSession | None = None
        self._breaker = Breaker()
        metrics.gauge(
            "breaker_state_kyc_provider",
            "0 closed, 1 half open, 2 open.",
            lambda: float(self._breaker.shown(time.monotonic())),
        )

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._account.timeout_s, connect=1.0)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def create_applicant(self, stated: dict[str, Any]) -> str:
        address = stated["address"]
        body = {
            "first_name": stated["firstName"],
            "last_name": stated["lastName"],
            "dob": stated["dateOfBirth"],
            "address": {
                "street": address["street"],
                "town": address["city"],
                "postcode": address["postcode"],
                "country": address["country"],
            },
            "location": {"country_of_residence": address["country"]},
        }
        return _id_of(await self._json("POST", "/applicants", body))

    async def upload(self, applicant_id: str, kind: DocumentType, file: tuple[str, bytes]) -> None:
        media_type, content = file
        form = aiohttp.FormData()
        form.add_field("applicant_id", applicant_id)
        form.add_field("type", kind)
        name = f"document.{_SUFFIXES[media_type]}"
        form.add_field("file", content, filename=name, content_type=media_type)
        await self._call("POST", "/documents", form)

    async def checks_of(self, applicant_id: str) -> Sequence[ProviderCheck]:
        found = await self._json("GET", f"/checks?applicant_id={applicant_id}")
        return [_check_of(one) for one in found.get("checks", ())]

    async def create_check(self, applicant_id: str, reports: Sequence[str]) -> ProviderCheck:
        body = {"applicant_id": applicant_id, "report_names": list(reports)}
        return _check_of(await self._json("POST", "/checks", body))

    async def check(self, check_id: str) -> ProviderCheck:
        return _check_of(await self._json("GET", f"/checks/{check_id}"))

    async def delete_applicant(self, applicant_id: str) -> None:
        await self._call("DELETE", f"/applicants/{applicant_id}", may_be_gone=True)

    def check_id_of(self, body: bytes, signature: str) -> str | None:
        """Return the check that a webhook is about, None for what is about no check.

        Raises BadWebhookError. A webhook decides nothing: the check is read from the provider.
        """
        token = self._account.webhook_token.get().encode()
        expected = hmac.new(token, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise BadWebhookError("signature")
        try:
            payload = orjson.loads(body)["payload"]
            if payload["resource_type"] != "check":
                return None
            return str(payload["object"]["id"])
        except (ValueError, KeyError, TypeError):
            raise BadWebhookError("body") from None

    async def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        raw = await self._call(method, path, None if body is None else orjson.dumps(body))
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise NoAnswer("kyc provider: no JSON") from None
        if not isinstance(found, dict):
            raise NoAnswer("kyc provider: no object")
        return found

    async def _call(
        self, method: str, path: str, body: Any = None, *, may_be_gone: bool = False
    ) -> bytes:
        if self._session is None or not self._breaker.admits(time.monotonic()):
            raise RequestNotSent("kyc provider: breaker open")
        ok: bool | None = False
        try:
            status, raw = await self._sent(self._session, method, path, body)
            ok = True
        finally:
            self._breaker.ended(time.monotonic(), ok=ok)
        if status == TOO_MANY:
            raise RequestNotSent("kyc provider: too many requests")
        if status >= CLIENT_ERROR and not (may_be_gone and status == NOT_FOUND):
            raise ProviderRefusedError(f"kyc provider: {status} to {method} {path.split('/')[1]}")
        return raw

    async def _sent(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Any
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Token token={self._account.api_token.get()}"}
        headers |= {"Content-Type": "application/json"} if isinstance(body, bytes) else {}
        with tracing.calling(f"{method} kyc provider") as trace:
            try:
                async with session.request(
                    method,
                    self._account.url.rstrip("/") + path,
                    data=body,
                    headers=headers | dict(trace),
                    allow_redirects=False,
                ) as response:
                    raw = await response.content.read(MOST_REPLY_BYTES)
                    if response.status >= SERVER_ERROR:
                        raise ServerFailed(f"kyc provider: {response.status}")
                    return response.status, raw
            except aiohttp.ClientConnectorError:
                raise RequestNotSent("kyc provider: no connection") from None
            except (aiohttp.ClientError, TimeoutError) as error:
                raise NoAnswer(f"kyc provider: {type(error).__name__}") from None


def _id_of(found: dict[str, Any]) -> str:
    identifier = found.get("id")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= 100 or "/" in identifier:
        raise NoAnswer("kyc provider: no id")
    return identifier


def _check_of(found: Any) -> ProviderCheck:
    """Return a check; a completed one without a known result is none that can be believed."""
    if not isinstance(found, dict):
        raise NoAnswer("kyc provider: no check")
    status, result = found.get("status"), found.get("result")
    if status == _WITHDRAWN:
        return ProviderCheck(_id_of(found), "consider")
    if status != _COMPLETE:
        return ProviderCheck(_id_of(found), None)
    known: Literal["clear", "consider"] = "clear" if result == "clear" else "consider"
    return ProviderCheck(_id_of(found), known)
