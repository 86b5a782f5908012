"""Adyen, by its SDK: authorized first, then captured; modifications are confirmed by webhooks.

Adyen has no enquiry by reference: a repeat of the payment with the same idempotency key returns
the first reply (Adyen's "API idempotency"). Where nothing may be executed any more, the payment is
cancelled by our reference instead (technical cancel), whose webhook says whether there was one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import Adyen
import orjson

from charges.clients.port import (
    UNREADABLE,
    BadWebhookError,
    DisputeReport,
    Guard,
    Report,
    report_of,
)
from charges.domain.cards import CardData
from charges.domain.charge import Charge
from charges.domain.declines import ADYEN, declined
from charges.domain.disputes import DisputeNews, DisputeStatus
from charges.domain.refund import Refund
from charges.domain.replies import Kind, Reply
from payment_schemas.money import Money
from service_runtime.compute import Executor
from service_runtime.keys import KeyRing, SecretFile

NAME = "adyen"
MERCHANT = "Countersign"
_RESULTS = {
    "Authorised": Kind.AUTHORIZED,
    "Cancelled": Kind.CANCELLED,
    "Pending": Kind.PENDING,
    "Received": Kind.PENDING,
}
_DONE = {
    "AUTHORISATION": Kind.AUTHORIZED,
    "CAPTURE": Kind.CAPTURED,
    "CANCELLATION": Kind.CANCELLED,
    "TECHNICAL_CANCEL": Kind.CANCELLED,
    "REFUND": Kind.REFUNDED,
}
_NOT_DONE = {
    "CAPTURE": Kind.PENDING,
    "CANCELLATION": Kind.PENDING,
    "TECHNICAL_CANCEL": Kind.NOT_FOUND,
    "REFUND": Kind.DECLINED,
    "REFUND_FAILED": Kind.DECLINED,
}
_DISPUTES = {
    "NOTIFICATION_OF_CHARGEBACK": DisputeStatus.OPEN,
    "CHARGEBACK": DisputeStatus.OPEN,
    "CHARGEBACK_REVERSED": DisputeStatus.WON,
    "SECOND_CHARGEBACK": DisputeStatus.LOST,
    "PREARBITRATION_LOST": DisputeStatus.LOST,
    "PREARBITRATION_WON": DisputeStatus.WON,
}
_NO_SUCH_CARD = "803"
"""Adyen's error code of a payment detail that is not found."""
_NOT_CONNECTED = ("ConnectionError", "ConnectTimeout", "NewConnectionError")
_REFUSED = (
    Adyen.AdyenAPIAuthenticationError,
    Adyen.AdyenAPIInvalidPermission,
    Adyen.AdyenAPIUnprocessableEntity,
    Adyen.AdyenAPIValidationError,
)


@dataclass(frozen=True, slots=True)
class AdyenAccount:
    """Where Adyen's checkout API is, and the keys of calls and of webhooks."""

    url: str
    api_key: SecretFile[str]
    hmac_keys: KeyRing
    within_s: float


class AdyenProvider:
    """Adyen; the SDK blocks, so that its calls run in threads."""

    def __init__(self, account: AdyenAccount, guard: Guard, threads: Executor) -> None:
        client = Adyen.Adyen(
            platform="test", xapikey=account.api_key.get(), http_timeout=account.within_s
        )
        self._payments = client.checkout.payments_api
        self._modifications = client.checkout.modifications_api
        self._cards = client.checkout.recurring_api
        for api in (self._payments, self._modifications, self._cards):
            api.baseUrl = f"{account.url}/v72"
        self._hmac_keys = account.hmac_keys
        self._guard = guard
        self._threads = threads

    @property
    def is_open(self) -> bool:
        return self._guard.is_open

    async def store(self, reference: str, user_id: str, card: CardData) -> Reply:
        method = {
            "type": "scheme",
            "number": card.number.reveal(),
            "expiryMonth": f"{card.expiry.month:02}",
            "expiryYear": str(card.expiry.year),
            **({"cvc": card.code.reveal()} if card.code else {}),
        }
        body = {
            "merchantAccount": MERCHANT,
            "shopperReference": user_id,
            "recurringProcessingModel": "CardOnFile",
            "paymentMethod": method,
        }
        act = self._cards.stored_payment_methods
        return await self._call("store", lambda: act(body, idempotency_key=reference), _kept)

    async def forget(self, user_id: str, token: str) -> Reply:
        query = {"merchantAccount": MERCHANT, "shopperReference": user_id}
        act = self._cards.delete_token_for_stored_payment_details
        reply = await self._call(
            "forget", lambda: act(token, query_parameters=query), lambda _: Reply(Kind.CANCELLED)
        )
        is_gone = reply.kind is Kind.REFUSED and reply.code == _NO_SUCH_CARD
        return Reply(Kind.NOT_FOUND) if is_gone else reply

    async def authorize(self, charge: Charge) -> Reply:
        return await self._authorize("authorize", charge)

    async def _authorize(self, what: str, charge: Charge) -> Reply:
        body = {
            "merchantAccount": MERCHANT,
            "reference": charge.reference,
            "amount": _amount(charge.money),
            "paymentMethod": {"type": "scheme", "storedPaymentMethodId": charge.source},
            "shopperReference": charge.user_id,
            "additionalData": {"manualCapture": "true"},
        }
        key = f"{charge.reference}:authorize"
        return await self._call(what, lambda: self._payments.payments(body, idempotency_key=key))

    async def capture(self, charge: Charge) -> Reply:
        body = {
            "merchantAccount": MERCHANT,
            "reference": charge.reference,
            "amount": _amount(charge.money),
        }
        own, key = charge.provider_reference, f"{charge.reference}:capture"
        act = self._modifications.capture_authorised_payment
        return await self._call("capture", lambda: act(body, own, idempotency_key=key))

    async def void(self, charge: Charge) -> Reply:
        body = {"merchantAccount": MERCHANT, "reference": charge.reference}
        own, key = charge.provider_reference, f"{charge.reference}:void"
        act = self._modifications.cancel_authorised_payment_by_psp_reference
        return await self._call("void", lambda: act(body, own, idempotency_key=key))

    async def refund(self, refund: Refund) -> Reply:
        return await self._refund("refund", refund)

    async def _refund(self, what: str, refund: Refund) -> Reply:
        body = {
            "merchantAccount": MERCHANT,
            "reference": refund.reference,
            "amount": _amount(refund.money),
        }
        own, key = refund.provider_reference, refund.reference
        act = self._modifications.refund_captured_payment
        return await self._call(what, lambda: act(body, own, idempotency_key=key))

    async def enquire(self, charge: Charge, *, may_execute: bool) -> Reply:
        if may_execute or charge.provider_reference:
            return await self._authorize("enquire", charge)
        body = {"merchantAccount": MERCHANT, "paymentReference": charge.reference}
        act = self._modifications.cancel_authorised_payment
        # A further try is a further request: the first one's webhook may have said "not found".
        key = f"{charge.reference}:cancel:{charge.tries}"
        return await self._call("enquire", lambda: act(body, idempotency_key=key))

    async def enquire_refund(self, refund: Refund) -> Reply:
        return await self._refund("enquire_refund", refund)

    def verify_webhook(
        self,
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 - the signature is in the body
    ) -> Sequence[Report | DisputeReport]:
        try:
            items = [
                one["NotificationRequestItem"] for one in orjson.loads(body)["notificationItems"]
            ]
            if not items or not all(self._is_signed(one) for one in items):
                raise BadWebhookError(NAME)
            return [report for one in items if (report := _report(one))]
        except UNREADABLE:
            raise BadWebhookError(NAME) from None

    def _is_signed(self, item: dict[str, Any]) -> bool:
        # The SDK reads the signature of one item; it returns None where there is none.
        valid = Adyen.util.is_valid_hmac_notification
        return any(valid(item, key.material.hex()) is True for key in self._hmac_keys)

    async def _call(
        self,
        what: str,
        call: Callable[[], Any],
        read: Callable[[Mapping[str, Any]], Reply] | None = None,
    ) -> Reply:
        def run() -> Reply:
            try:
                return (read or _reply)(call().message)
            except _REFUSED as error:
                return Reply(Kind.REFUSED, getattr(error, "error_code", None) or "refused")
            except (Adyen.AdyenError, *UNREADABLE):
                return Reply(Kind.NO_ANSWER, "no_answer")
            except OSError as error:
                # `requests` raises its own subclasses of OSError.
                is_unsent = type(error).__name__ in _NOT_CONNECTED and "refused" in str(error)
                return Reply(Kind.NOT_SENT if is_unsent else Kind.NO_ANSWER, "not_connected")

        return await self._guard.run(what, lambda: self._threads.run(run))


def _amount(money: Money) -> dict[str, Any]:
    return {"value": money.amount_minor, "currency": money.currency}


def _kept(message: Mapping[str, Any]) -> Reply:
    return Reply(Kind.AUTHORIZED, reference=message["id"])


def _reply(message: Mapping[str, Any]) -> Reply:
    own = message.get("paymentPspReference") or message.get("pspReference")
    if message.get("status") == "received":
        # The pspReference of a modification is not the payment's.
        return Reply(Kind.PENDING, reference=message.get("paymentPspReference"))
    result = message.get("resultCode")
    if result in ("Refused", "Error"):
        return declined(ADYEN, message.get("refusalReasonCode"), own)
    return Reply(_RESULTS.get(str(result), Kind.PENDING), reference=own)


def _report(item: Mapping[str, Any]) -> Report | DisputeReport | None:
    code, is_done = item["eventCode"], item["success"] == "true"
    own = item.get("originalReference") or item["pspReference"]
    event_id = f"{item['pspReference']}/{code}/{item['success']}/{item['merchantReference']}"
    if code in _DISPUTES:
        return DisputeReport(event_id, _dispute(item, own))
    if code == "AUTHORISATION" and not is_done:
        reply = declined(ADYEN, item.get("reason"), own)
    else:
        kind = (_DONE if is_done and code != "REFUND_FAILED" else _NOT_DONE).get(code)
        if kind is None:
            return None
        reply = Reply(kind, reference=None if kind is Kind.NOT_FOUND else own)
    return report_of(event_id, item["merchantReference"], reply)


def _dispute(item: Mapping[str, Any], payment: str) -> DisputeNews:
    """Return a dispute's news; a payment has one, whose events have references of their own."""
    amount = Money(item["amount"]["value"], item["amount"]["currency"])
    reason = item.get("reason") or "unknown"
    return DisputeNews(payment, payment, amount, _DISPUTES[item["eventCode"]], reason)
