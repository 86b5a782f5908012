"""Stripe, by its SDK: payment intents, in minor units, captured in one call where wanted."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import stripe
from stripe import _util

from charges.clients.port import (
    UNREADABLE,
    BadWebhookError,
    DisputeReport,
    Guard,
    Report,
    report_of,
)
from charges.domain.cards import CardData
from charges.domain.charge import Charge, Goal
from charges.domain.declines import STRIPE, declined
from charges.domain.disputes import DisputeNews, DisputeStatus
from charges.domain.refund import Refund
from charges.domain.replies import Kind, Reply
from payment_schemas.money import Money
from service_runtime.keys import SecretFile

NAME = "stripe"
# The SDK logs the bodies of its calls at the level DEBUG, card numbers and codes among them, and
# prints them where STRIPE_LOG=debug is in the environment.
logging.getLogger("stripe").setLevel(logging.WARNING)
_util.STRIPE_LOG = None
_STATUSES = {
    "succeeded": Kind.CAPTURED,
    "requires_capture": Kind.AUTHORIZED,
    "canceled": Kind.CANCELLED,
    "processing": Kind.PENDING,
    "requires_action": Kind.PENDING,
}
_REFUNDS = {"succeeded": Kind.REFUNDED, "pending": Kind.PENDING, "requires_action": Kind.PENDING}
_REFUSED = (
    stripe.InvalidRequestError,
    stripe.AuthenticationError,
    stripe.PermissionError,
)


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """Where Stripe's API is, and the secrets of calls and of webhooks."""

    url: str
    api_key: SecretFile[str]
    webhook_secret: SecretFile[str]
    within_s: float


class Stripe:
    """Stripe; opened at start, closed at stop."""

    def __init__(self, account: StripeAccount, guard: Guard) -> None:
        self._account = account
        self._guard = guard
        self._client: stripe.StripeClient | None = None
        self._http: stripe.AIOHTTPClient | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._account.within_s, sock_connect=1.0)
        self._http = stripe.AIOHTTPClient(timeout=timeout)
        self._client = stripe.StripeClient(
            self._account.api_key.get(),
            base_addresses={"api": self._account.url},
            http_client=self._http,
            max_network_retries=0,
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._http is not None:
            await self._http.close_async()

    @property
    def is_open(self) -> bool:
        return self._guard.is_open

    async def store(self, reference: str, user_id: str, card: CardData) -> Reply:  # noqa: ARG002 - a customer of Stripe is one card
        details = {
            "number": card.number.reveal(),
            "exp_month": card.expiry.month,
            "exp_year": card.expiry.year,
            **({"cvc": card.code.reveal()} if card.code else {}),
        }
        params: Any = {"type": "card", "card": details, "metadata": {"reference": reference}}

        async def stored(api: Any) -> Any:
            # A payment method may be used again only by the customer that it is attached to.
            method = await api.payment_methods.create_async(params)
            about: Any = {"payment_method": method.id, "metadata": {"reference": reference}}
            customer = await api.customers.create_async(about)
            return _Stored({"id": f"{customer.id}/{method.id}"})

        return await self._call("store", stored, lambda one: _kept(one["id"]))

    async def forget(self, user_id: str, token: str) -> Reply:  # noqa: ARG002 - the token names it
        customer, _, _ = token.partition("/")
        reply = await self._call(
            "forget", lambda api: api.customers.delete_async(customer), lambda _: _FORGOTTEN
        )
        is_gone = reply.kind is Kind.REFUSED and reply.code == "resource_missing"
        return Reply(Kind.NOT_FOUND) if is_gone else reply

    async def authorize(self, charge: Charge) -> Reply:
        params = {
            "amount": charge.money.amount_minor,
            "currency": charge.money.currency.lower(),
            "confirm": True,
            "capture_method": "automatic" if charge.goal is Goal.CAPTURE else "manual",
            "payment_method_types": ["card"],
            **_method(charge.source),
            "metadata": {"reference": charge.reference},
            **({"receipt_email": charge.email} if charge.email else {}),
        }
        options = {"idempotency_key": f"{charge.reference}:authorize"}
        return await self._call(
            "authorize", lambda api: api.payment_intents.create_async(params, options), _intent
        )

    async def capture(self, charge: Charge) -> Reply:
        options = {"idempotency_key": f"{charge.reference}:capture"}
        own = charge.provider_reference or ""
        return await self._call(
            "capture", lambda api: api.payment_intents.capture_async(own, {}, options), _intent
        )

    async def void(self, charge: Charge) -> Reply:
        options = {"idempotency_key": f"{charge.reference}:void"}
        own = charge.provider_reference or ""
        return await self._call(
            "void", lambda api: api.payment_intents.cancel_async(own, {}, options), _intent
        )

    async def refund(self, refund: Refund) -> Reply:
        params = {
            "payment_intent": refund.provider_reference,
            "amount": refund.money.amount_minor,
            "metadata": {"reference": refund.reference},
        }
        options = {"idempotency_key": refund.reference}
        return await self._call(
            "refund", lambda api: api.refunds.create_async(params, options), _refund
        )

    async def enquire(self, charge: Charge, *, may_execute: bool) -> Reply:  # noqa: ARG002 - an enquiry executes nothing here
        if own := charge.provider_reference:
            return await self._call(
                "enquire", lambda api: api.payment_intents.retrieve_async(own), _intent
            )
        # Stripe's search is seconds behind: NOT_FOUND leads to a repeat with the same key.
        query = {"query": f"metadata['reference']:'{charge.reference}'"}
        return await self._call(
            "enquire", lambda api: api.payment_intents.search_async(query), _first_intent
        )

    async def enquire_refund(self, refund: Refund) -> Reply:
        query = {"payment_intent": refund.provider_reference, "limit": 100}

        def ours(found: Any) -> Reply:
            same = [
                one for one in found["data"] if one["metadata"].get("reference") == refund.reference
            ]
            return _refund(same[0]) if same else Reply(Kind.NOT_FOUND)

        return await self._call("enquire_refund", lambda api: api.refunds.list_async(query), ours)

    def verify_webhook(
        self, body: bytes, headers: Mapping[str, str]
    ) -> Sequence[Report | DisputeReport]:
        signature = headers.get("stripe-signature", "")
        try:
            event = stripe.Webhook.construct_event(
                body, signature, self._account.webhook_secret.get()
            )
        except (ValueError, stripe.SignatureVerificationError):
            raise BadWebhookError(NAME) from None
        about = event.data.object.to_dict()
        if about.get("object") == "payment_intent":
            reply = _intent(about)
        elif about.get("object") == "refund":
            reply = _refund(about)
        elif about.get("object") == "dispute":
            return _dispute(event.id, about)
        else:
            return ()
        reference = (about.get("metadata") or {}).get("reference", "")
        report = report_of(event.id, reference, reply)
        return [report] if report else ()

    async def _call(
        self, what: str, call: Callable[[Any], Awaitable[Any]], read: Callable[[Any], Reply]
    ) -> Reply:
        async def run() -> Reply:
            if self._client is None:
                return Reply(Kind.NOT_SENT, "not_started")
            try:
                return read((await call(self._client.v1)).to_dict())
            except stripe.CardError as error:
                return _card_error(error)
            except stripe.RateLimitError:
                return Reply(Kind.NOT_SENT, "rate_limited")
            except _REFUSED as error:
                return Reply(Kind.REFUSED, error.code or "refused")
            except stripe.APIConnectionError as error:
                return _not_connected(error)
            except (stripe.StripeError, aiohttp.ClientError, *UNREADABLE):
                return Reply(Kind.NO_ANSWER, "no_answer")

        return await self._guard.run(what, run)


def _dispute(event_id: str, about: Mapping[str, Any]) -> Sequence[DisputeReport]:
    """Return a dispute's news; an inquiry (`warning_…`) takes no money, and is none."""
    status = str(about["status"])
    if status.startswith("warning"):
        return ()
    ends = {"won": DisputeStatus.WON, "lost": DisputeStatus.LOST}
    news = DisputeNews(
        about["id"],
        about["payment_intent"],
        Money(about["amount"], about["currency"].upper()),
        ends.get(status, DisputeStatus.OPEN),
        str(about.get("reason") or "unknown"),
    )
    return [DisputeReport(event_id, news)]


class _Stored(dict[str, Any]):
    """What was made by two calls, in the form of one response of the SDK."""

    def to_dict(self) -> dict[str, Any]:
        return dict(self)


_FORGOTTEN = Reply(Kind.CANCELLED)


def _kept(token: str) -> Reply:
    return Reply(Kind.AUTHORIZED, reference=token)


def _method(source: str) -> dict[str, Any]:
    """Return the fields of a stored card (`cus_…/pm_…`), or of a token of Stripe's own."""
    customer, slash, method = source.partition("/")
    if slash:
        return {"customer": customer, "payment_method": method}
    return {"payment_method_data": {"type": "card", "card": {"token": source}}}


def _intent(intent: Any) -> Reply:
    if intent["status"] == "requires_payment_method":
        error = intent.get("last_payment_error") or {}
        code = error.get("decline_code") or error.get("code")
        return declined(STRIPE, code, intent["id"])
    return Reply(_STATUSES.get(intent["status"], Kind.PENDING), reference=intent["id"])


def _first_intent(found: Any) -> Reply:
    return _intent(found["data"][0]) if found["data"] else Reply(Kind.NOT_FOUND)


def _refund(refund: Any) -> Reply:
    code = refund.get("failure_reason")
    return Reply(_REFUNDS.get(refund["status"], Kind.DECLINED), code, reference=refund["id"])


def _card_error(error: stripe.CardError) -> Reply:
    whole: Any = error.json_body
    body = (whole or {}).get("error") or {}
    intent = body.get("payment_intent") or {}
    return declined(STRIPE, body.get("decline_code") or error.code, intent.get("id"))


def _not_connected(error: stripe.APIConnectionError) -> Reply:
    is_unsent = isinstance(error.__cause__, aiohttp.ClientConnectorError)
    return Reply(Kind.NOT_SENT if is_unsent else Kind.NO_ANSWER, "not_connected")
