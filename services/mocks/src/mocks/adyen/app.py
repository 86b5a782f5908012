"""Wires the Adyen mock. Source of the shapes: Adyen's Checkout API v72 and its webhooks."""

import base64
import hashlib
import hmac
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import Refused
from mocks.card_payments import (
    HARD,
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
from mocks.settings import AdyenSettings
from mocks.webhooks import Message, Webhooks
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse

API = "/v72"
_DISPUTES = {"won": "CHARGEBACK_REVERSED", "lost": "SECOND_CHARGEBACK"}
_MODIFIED = {"captures": "CAPTURE", "cancels": "CANCELLATION", "refunds": "REFUND"}


def create(settings: AdyenSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("adyen", settings, clock)
    routes = _Routes(mock, settings)
    mock.app.add_route(f"{API}/payments", routes.pay, methods=["POST"])
    mock.app.add_route(f"{API}/cancels", routes.cancel_unknown, methods=["POST"])
    mock.app.add_route(API + "/payments/{psp}/{act}", routes.modify, methods=["POST"])
    mock.app.add_route(f"{API}/storedPaymentMethods", routes.store, methods=["POST"])
    mock.app.add_route(API + "/storedPaymentMethods/{token}", routes.remove, methods=["DELETE"])
    mock.app.add_route("/payments", routes.listed, methods=["GET"])
    mock.app.add_route("/disputes", routes.dispute, methods=["POST"])
    mock.app.add_route("/cards", routes.cards, methods=["GET"])
    return mock.process()


class _Routes:
    def __init__(self, mock: Mock, settings: AdyenSettings) -> None:
        self._clock = mock.clock
        self._faults = mock.faults
        self._api_key = settings.adyen_api_key
        self._hmac_key = settings.adyen_hmac_key
        self._payments, self._keys = Payments(), Keys()
        self._cards = StoredCards()
        self._webhooks = Webhooks(mock, settings)

    async def pay(self, request: Request) -> Response:
        return await self._run(request, self._paid)

    async def store(self, request: Request) -> Response:
        return await self._run(request, self._stored)

    def _stored(self, body: dict[str, Any], _events: list[Message]) -> tuple[int, Any]:
        method, token = body["paymentMethod"], self._psp()
        if self._cards.add(token, method["number"], has_code="cvc" in method) is None:
            return 422, _error(422, "103", "The card has expired")
        return 201, {"id": token, "type": "scheme", "shopperReference": body["shopperReference"]}

    async def remove(self, request: Request) -> Response:
        self._authenticate(request)
        query = request.query_params
        if not {"merchantAccount", "shopperReference"} <= query.keys():
            raise Refused(422, _error(422, "702", "Invalid or missing field"))
        if not self._cards.remove(request.path_params["token"]):
            raise Refused(422, _error(422, "803", "PaymentDetail not found"))
        return Response(status_code=204)

    async def cards(self, _request: Request) -> Response:
        return JsonResponse(self._cards.shown())

    async def modify(self, request: Request) -> Response:
        psp, act = request.path_params["psp"], request.path_params["act"]
        if act not in _MODIFIED:
            raise Refused(404, _error(404, "000", "Not found"))
        return await self._run(request, lambda body, sent: self._modified(psp, act, body, sent))

    async def cancel_unknown(self, request: Request) -> Response:
        return await self._run(request, self._cancelled_unknown)

    def _authenticate(self, request: Request) -> None:
        presented = request.headers.get("x-api-key", "")
        if not hmac.compare_digest(presented.encode(), self._api_key.encode()):
            raise Refused(401, _error(401, "000", "Unauthorized"))

    async def _run(self, request: Request, act: Any) -> Response:
        self._authenticate(request)
        content, events = await request.body(), list[Message]()
        key, line = request.headers.get("idempotency-key"), request.url.path.encode() + content
        try:
            response = self._keys.run(key, line, lambda: act(orjson.loads(content), events))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused(422, _error(422, "702", "Invalid or missing field")) from None
        for event in events:
            await self._webhooks.send(event)
        return response

    def _paid(self, body: dict[str, Any], events: list[Message]) -> tuple[int, Any]:
        source = self._cards.source(body["paymentMethod"]["storedPaymentMethodId"])
        is_manual = body.get("additionalData", {}).get("manualCapture") == "true"
        payment = Payment(
            self._psp(),
            body["reference"],
            body["amount"]["value"],
            body["amount"]["currency"],
            "authorised" if is_manual else "captured",
        )
        shown = {"pspReference": payment.id, "merchantReference": payment.reference}
        if code := _refusal_of(source):
            payment.status = "refused"
            self._payments.add(payment)
            events.append(self._event("AUTHORISATION", payment, is_success=False, reason=code))
            refusal = {"resultCode": "Refused", "refusalReasonCode": code}
            return 200, {**shown, **refusal}
        self._payments.add(payment)
        events.append(self._event("AUTHORISATION", payment))
        if self._faults.is_on("says_declined"):
            return 200, {**shown, "resultCode": "Refused", "refusalReasonCode": "2"}
        is_later = is_declined(source, PENDING, "adyen")
        return 200, {**shown, "resultCode": "Pending" if is_later else "Authorised"}

    def _modified(
        self, psp: str, act: str, body: dict[str, Any], events: list[Message]
    ) -> tuple[int, Any]:
        if (payment := self._payments.found(psp)) is None:
            return 422, _error(422, "167", "Original pspReference required for this operation")
        is_done = self._change(payment, act, body)
        reference = body.get("reference", payment.reference)
        event = self._event(_MODIFIED[act], payment, reference, is_success=is_done)
        events.append(event)
        return 201, {"pspReference": self._psp(), "paymentPspReference": psp, "status": "received"}

    def _change(self, payment: Payment, act: str, body: dict[str, Any]) -> bool:
        if act == "refunds":
            amount = body["amount"]["value"]
            is_done = payment.status == "captured" and amount <= payment.left_minor
            if is_done:
                payment.refunds[body["reference"]] = amount
            return is_done
        is_done = payment.status == "authorised"
        if is_done:
            payment.status = "captured" if act == "captures" else "cancelled"
        return is_done

    def _cancelled_unknown(self, body: dict[str, Any], events: list[Message]) -> tuple[int, Any]:
        """Cancel by our reference, where no pspReference was received: a technical cancel."""
        reference = body["paymentReference"]
        payment = self._payments.of_reference(reference)
        is_done = payment is not None and self._change(payment, "cancels", body)
        known = payment or Payment(self._psp(), reference, 0, "EUR", "none")
        events.append(self._event("TECHNICAL_CANCEL", known, is_success=is_done))
        return 201, {
            "pspReference": self._psp(),
            "paymentReference": reference,
            "status": "received",
        }

    async def listed(self, _request: Request) -> Response:
        return JsonResponse(
            {
                "payments": [
                    {
                        "pspReference": one.id,
                        "reference": one.reference,
                        "amount": one.amount_minor,
                        "status": one.status,
                        "refunds": one.refunds,
                    }
                    for one in self._payments.all()
                ]
            }
        )

    async def dispute(self, request: Request) -> Response:
        """Dispute a payment, for tests and people: {"reference", "status"}."""
        given = DisputeRequest.of(await request.body())
        payment = self._payments.of_reference(given.reference)
        if payment is None:
            raise Refused(404, _error(404, "000", "Not found"))
        code = _DISPUTES.get(given.status, "CHARGEBACK")
        await self._webhooks.send(self._event(code, payment, reason="fraudulent"))
        return JsonResponse({"eventCode": code})

    def _psp(self) -> str:
        return self._clock.new_id().hex[:16].upper()

    def _event(
        self,
        code: str,
        payment: Payment,
        reference: str | None = None,
        *,
        is_success: bool = True,
        reason: str = "",
    ) -> Message:
        item: dict[str, Any] = {
            "pspReference": payment.id,
            "originalReference": payment.id,
            "merchantAccountCode": "Countersign",
            "merchantReference": reference or payment.reference,
            "amount": {"value": payment.amount_minor, "currency": payment.currency},
            "eventCode": code,
            "success": "true" if is_success else "false",
            "reason": reason,
            "eventDate": self._clock.now().isoformat(),
        }
        item["additionalData"] = {"hmacSignature": self._signature(item)}
        items = [{"NotificationRequestItem": item}]
        return {"live": "false", "notificationItems": items}, {}

    def _signature(self, item: dict[str, Any]) -> str:
        amount = item["amount"]
        signed = ":".join(
            [
                item["pspReference"],
                item["originalReference"],
                item["merchantAccountCode"],
                item["merchantReference"],
                str(amount["value"]),
                amount["currency"],
                item["eventCode"],
                item["success"],
            ]
        )
        key = self._hmac_key.current.material
        return base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()


def _refusal_of(source: str) -> str | None:
    if is_declined(source, SOFT, "adyen"):
        return "2"
    return "5" if is_declined(source, HARD, "adyen") else None


def _error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"status": status, "errorCode": code, "message": message, "errorType": "validation"}
