"""Wires the Stripe mock. Source of the shapes: Stripe's API reference, version 2024 and later."""

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import orjson
from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import Refused
from mocks.card_payments import (
    HARD,
    MOST_KEPT,
    PENDING,
    SOFT,
    DisputeRequest,
    Keys,
    Payment,
    Payments,
    StoredCards,
    is_declined,
)
from mocks.edge import Mock
from mocks.settings import StripeSettings
from mocks.webhooks import Message, Webhooks
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse

_QUERY = re.compile(r"""metadata\[['"]reference['"]\]:['"]([A-Za-z0-9-]{1,80})['"]""")
_EVENTS = {
    "succeeded": "payment_intent.succeeded",
    "requires_capture": "payment_intent.amount_capturable_updated",
    "canceled": "payment_intent.canceled",
    "requires_payment_method": "payment_intent.payment_failed",
}


def create(settings: StripeSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("stripe", settings, clock)
    routes = _Routes(mock, settings)
    intents = "/v1/payment_intents"
    for path, act, method in [
        (intents, routes.create, "POST"),
        (f"{intents}/search", routes.search, "GET"),
        (intents + "/{id}", routes.get, "GET"),
        (intents + "/{id}/capture", routes.capture, "POST"),
        (intents + "/{id}/cancel", routes.cancel, "POST"),
        ("/v1/refunds", routes.refund, "POST"),
        ("/v1/refunds", routes.refunds, "GET"),
        ("/v1/payment_methods", routes.store, "POST"),
        ("/v1/customers", routes.attach, "POST"),
        ("/v1/customers/{id}", routes.remove, "DELETE"),
        ("/payments", routes.listed, "GET"),
        ("/disputes", routes.dispute, "POST"),
        ("/cards", routes.cards, "GET"),
    ]:
        mock.app.add_route(path, act, methods=[method])
    return mock.process()


class _Routes:
    def __init__(self, mock: Mock, settings: StripeSettings) -> None:
        self._clock = mock.clock
        self._faults = mock.faults
        self._api_key = settings.stripe_api_key
        self._secret = settings.stripe_webhook_secret
        self._payments, self._keys = Payments(), Keys()
        self._cards = StoredCards()
        self._customers: dict[str, str] = {}
        self._webhooks = Webhooks(mock, settings)

    async def store(self, request: Request) -> Response:
        form = await self._form(request)
        token = f"pm_{self._clock.new_id().hex}"
        number, has_code = form.get("card[number]", ""), "card[cvc]" in form
        if self._cards.add(token, number, has_code=has_code) is None:
            code = {"type": "card_error", "code": "expired_card", "message": "It has expired."}
            raise Refused(402, {"error": code})
        return JsonResponse({"id": token, "object": "payment_method", "type": "card"})

    async def attach(self, request: Request) -> Response:
        form = await self._form(request)
        customer = f"cus_{self._clock.new_id().hex}"
        self._customers[customer] = form.get("payment_method", "")
        if len(self._customers) > MOST_KEPT:
            self._customers.pop(next(iter(self._customers)))
        return JsonResponse({"id": customer, "object": "customer"})

    async def remove(self, request: Request) -> Response:
        """Delete a customer, and its card with it."""
        await self._form(request)
        customer = request.path_params["id"]
        if (card := self._customers.pop(customer, None)) is None:
            raise Refused(404, _error("invalid_request_error", "resource_missing"))
        self._cards.remove(card)
        return JsonResponse({"id": customer, "object": "customer", "deleted": True})

    async def cards(self, _request: Request) -> Response:
        return JsonResponse(self._cards.shown())

    async def create(self, request: Request) -> Response:
        form = await self._form(request)
        changed: list[Payment] = []
        response = await self._once(request, lambda: self._created(form, changed))
        for payment in changed:
            await self._notify(payment)
        return response

    def _created(self, form: dict[str, str], changed: list[Payment]) -> tuple[int, Any]:
        given = form.get("payment_method_data[card][token]") or form.get("payment_method", "")
        source = self._cards.source(given)
        payment = Payment(
            f"pi_{self._clock.new_id().hex}",
            form.get("metadata[reference]", ""),
            int(form["amount"]),
            form["currency"],
            "succeeded" if form.get("capture_method") != "manual" else "requires_capture",
            {"metadata": {"reference": form.get("metadata[reference]", "")}},
        )
        decline = _decline_of(source)
        if decline or is_declined(source, PENDING, "stripe"):
            payment.status = "requires_payment_method" if decline else "processing"
        changed.append(self._payments.add(payment))
        is_lie = not decline and self._faults.is_on("says_declined")
        if decline:
            payment.fields["last_payment_error"] = {
                "code": "card_declined",
                "decline_code": decline,
            }
        if decline or is_lie:
            decline = decline or "do_not_honor"
            error = {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": decline,
                "message": "Your card was declined.",
                "payment_intent": _shown(payment),
            }
            return 402, {"error": error}
        return 200, _shown(payment)

    async def search(self, request: Request) -> Response:
        await self._form(request)
        found = _QUERY.fullmatch(request.query_params.get("query", ""))
        if found is None:
            raise Refused(400, _error("invalid_request_error", "query"))
        payment = self._payments.of_reference(found[1])
        listed = [_shown(payment)] if payment else []
        return JsonResponse({"object": "search_result", "data": listed, "has_more": False})

    async def get(self, request: Request) -> Response:
        await self._form(request)
        return JsonResponse(_shown(self._existing(request.path_params["id"])))

    async def capture(self, request: Request) -> Response:
        return await self._change(request, "requires_capture", "succeeded")

    async def cancel(self, request: Request) -> Response:
        return await self._change(request, "requires_capture", "canceled")

    async def _change(self, request: Request, before: str, after: str) -> Response:
        await self._form(request)
        payment = self._existing(request.path_params["id"])
        if payment.status == before:
            payment.status = after
            await self._notify(payment)
        elif payment.status != after:
            raise Refused(400, _error("invalid_request_error", "payment_intent_unexpected_state"))
        return JsonResponse(_shown(payment))

    async def refund(self, request: Request) -> Response:
        form = await self._form(request)
        return await self._once(request, lambda: self._refunded(form))

    async def _once(self, request: Request, act: Callable[[], tuple[int, Any]]) -> Response:
        key, line = request.headers.get("idempotency-key"), request.url.path.encode()
        try:
            return self._keys.run(key, line + await request.body(), act)
        except (KeyError, ValueError):
            raise Refused(400, _error("invalid_request_error", "parameter_missing")) from None

    def _refunded(self, form: dict[str, str]) -> tuple[int, Any]:
        payment = self._existing(form.get("payment_intent", ""))
        amount, reference = int(form["amount"]), form["metadata[reference]"]
        if payment.status != "succeeded" or amount > payment.left_minor:
            return 400, _error("invalid_request_error", "charge_already_refunded")
        payment.refunds[reference] = amount
        return 200, _refund(payment, reference)

    async def refunds(self, request: Request) -> Response:
        await self._form(request)
        payment = self._existing(request.query_params.get("payment_intent", ""))
        listed = [_refund(payment, reference) for reference in payment.refunds]
        return JsonResponse({"object": "list", "data": listed, "has_more": False})

    async def listed(self, _request: Request) -> Response:
        shown = [{**_shown(one), "refunds": one.refunds} for one in self._payments.all()]
        return JsonResponse({"payments": shown})

    def _existing(self, payment_id: str) -> Payment:
        if (payment := self._payments.found(payment_id)) is None:
            raise Refused(404, _error("invalid_request_error", "resource_missing"))
        return payment

    async def _form(self, request: Request) -> dict[str, str]:
        presented = request.headers.get("authorization", "")
        if not hmac.compare_digest(presented.encode(), f"Bearer {self._api_key}".encode()):
            raise Refused(401, _error("invalid_request_error", "api_key"))
        return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))

    async def _notify(self, payment: Payment) -> None:
        if kind := _EVENTS.get(payment.status):
            await self._webhooks.send(self._event(kind, _shown(payment)))

    async def dispute(self, request: Request) -> Response:
        """Dispute a payment, for tests and people: {"reference", "status", "amount"}."""
        given = DisputeRequest.of(await request.body())
        payment = self._payments.of_reference(given.reference)
        if payment is None:
            raise Refused(404, _error("invalid_request_error", "resource_missing"))
        is_closed = given.status in ("won", "lost")
        about = {
            "id": f"dp_{payment.id[3:]}",
            "object": "dispute",
            "payment_intent": payment.id,
            "amount": payment.amount_minor if given.amount is None else given.amount,
            "currency": payment.currency,
            "reason": "fraudulent",
            "status": given.status,
        }
        kind = "charge.dispute.closed" if is_closed else "charge.dispute.created"
        await self._webhooks.send(self._event(kind, about))
        return JsonResponse(about)

    def _event(self, kind: str, about: dict[str, Any]) -> Message:
        at_s = int(self._clock.now().timestamp())
        body = {
            "id": f"evt_{self._clock.new_id().hex}",
            "object": "event",
            "type": kind,
            "created": at_s,
            "data": {"object": about},
        }
        signed = f"{at_s}.".encode() + orjson.dumps(body)
        signature = hmac.new(self._secret.encode(), signed, hashlib.sha256).hexdigest()
        return body, {"Stripe-Signature": f"t={at_s},v1={signature}"}


def _decline_of(source: str) -> str | None:
    if is_declined(source, SOFT, "stripe"):
        return "do_not_honor"
    return "stolen_card" if is_declined(source, HARD, "stripe") else None


def _shown(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "object": "payment_intent",
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status,
        **payment.fields,
    }


def _refund(payment: Payment, reference: str) -> dict[str, Any]:
    return {
        "id": f"re_{reference}",
        "object": "refund",
        "amount": payment.refunds[reference],
        "currency": payment.currency,
        "payment_intent": payment.id,
        "status": "succeeded",
        "metadata": {"reference": reference},
    }


def _error(kind: str, code: str) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": code}}
