"""The adapters read what providers reply, in the terms that all share; no server is needed."""

import base64
import json
import time
from uuid import UUID

import pytest
import stripe
from Adyen.util import generate_notification_sig

from charges.clients import BadWebhookError
from charges.clients.adyen import AdyenAccount, AdyenProvider, _reply
from charges.clients.port import Guard, report_of
from charges.clients.stripe import Stripe, StripeAccount, _intent, _refund
from charges.domain.declines import ADYEN, HARD, SOFT, STRIPE, declined
from charges.domain.replies import Kind, Reply
from service_runtime.keys import KeyRing, SecretFile

CHARGE = "chg-" + UUID(int=7).hex
KEY = bytes(range(32))


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("whsec_test")
    return SecretFile(path, str)


@pytest.fixture
def at_stripe(secret):
    return Stripe(StripeAccount("http://stripe", secret, secret, 1), Guard("stripe", 1, 1))


@pytest.fixture
def at_adyen(secret):
    account = AdyenAccount("http://adyen", secret, KeyRing(KEY), 1)
    return AdyenProvider(account, Guard("adyen", 1, 1), threads=None)


def signed(body, by="whsec_test", at_s=None):
    at_s = int(at_s or time.time())
    mac = stripe.WebhookSignature._compute_signature(f"{at_s}.{body}", by)
    return {"stripe-signature": f"t={at_s},v1={mac}"}


def event(status="succeeded", reference=f"{CHARGE}-2"):
    intent = {
        "object": "payment_intent",
        "id": "pi_1",
        "status": status,
        "metadata": {"reference": reference},
    }
    body = {"id": "evt_1", "object": "event", "type": "x", "data": {"object": intent}}
    return json.dumps(body)


def test_a_webhook_of_stripe_names_attempt_and_state(at_stripe):
    (report,) = at_stripe.verify_webhook(event().encode(), signed(event()))
    assert (report.event_id, report.about, report.id, report.attempt) == (
        "evt_1",
        "charge",
        UUID(int=7),
        2,
    )
    assert report.reply == Reply(Kind.CAPTURED, reference="pi_1")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(dict, id="none"),
        pytest.param(lambda: signed(event(), "other"), id="of another secret"),
        pytest.param(lambda: signed(event("canceled")), id="of another body"),
        pytest.param(lambda: signed(event(), at_s=1), id="of long ago"),
    ],
)
def test_a_webhook_of_stripe_without_a_valid_signature_is_refused(at_stripe, headers):
    with pytest.raises(BadWebhookError):
        at_stripe.verify_webhook(event().encode(), headers())


def test_a_webhook_about_a_payment_of_others_says_nothing(at_stripe):
    for reference in ("", "order-1", "chg-x-1", f"{CHARGE}", f"{CHARGE}-x", "ref-1"):
        body = event(reference=reference)
        assert not at_stripe.verify_webhook(body.encode(), signed(body))


def item(code, success="true", reference=f"{CHARGE}-1", key=KEY, **fields):
    made = {
        "pspReference": "PSP2",
        "originalReference": "PSP1",
        "merchantAccountCode": "Countersign",
        "merchantReference": reference,
        "amount": {"value": 1000, "currency": "EUR"},
        "eventCode": code,
        "success": success,
        **fields,
    }
    signature = generate_notification_sig(made, key.hex()).decode()
    made["additionalData"] = {"hmacSignature": signature}
    return {"NotificationRequestItem": made}


def notification(*items):
    return json.dumps({"live": "false", "notificationItems": items}).encode()


@pytest.mark.parametrize(
    ("code", "success", "kind"),
    [
        ("AUTHORISATION", "true", Kind.AUTHORIZED),
        ("AUTHORISATION", "false", Kind.DECLINED),
        ("CAPTURE", "true", Kind.CAPTURED),
        ("CANCELLATION", "true", Kind.CANCELLED),
        ("TECHNICAL_CANCEL", "true", Kind.CANCELLED),
        ("TECHNICAL_CANCEL", "false", Kind.NOT_FOUND),
    ],
)
def test_a_webhook_of_adyen_names_attempt_and_state(at_adyen, code, success, kind):
    (report,) = at_adyen.verify_webhook(notification(item(code, success)), {})
    assert (report.id, report.attempt, report.reply.kind) == (UUID(int=7), 1, kind)


def test_a_refund_of_adyen_is_decided_by_its_webhook(at_adyen):
    reference = "ref-" + UUID(int=9).hex
    body = notification(
        item("REFUND", reference=reference), item("REFUND_FAILED", reference=reference)
    )
    done, failed = at_adyen.verify_webhook(body, {})
    assert (done.about, done.id, done.reply.kind) == ("refund", UUID(int=9), Kind.REFUNDED)
    assert failed.reply.kind is Kind.DECLINED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        notification(),
        notification(item("CAPTURE", key=bytes(32))),
        notification(item("CAPTURE"), item("CAPTURE", key=bytes(32))),
        notification({"NotificationRequestItem": {"eventCode": "CAPTURE"}}),
        notification({"NotificationRequestItem": []}),
    ],
)
def test_a_webhook_of_adyen_without_a_valid_signature_is_refused(at_adyen, body):
    with pytest.raises(BadWebhookError):
        at_adyen.verify_webhook(body, {})


def test_a_signature_covers_what_the_webhook_says(at_adyen):
    one = item("CAPTURE", "false")
    one["NotificationRequestItem"]["success"] = "true"
    with pytest.raises(BadWebhookError):
        at_adyen.verify_webhook(notification(one), {})
    assert base64.b64decode(one["NotificationRequestItem"]["additionalData"]["hmacSignature"])


def test_replies_of_both_providers_are_read_in_one_language():
    assert _intent({"id": "pi", "status": "requires_capture"}).kind is Kind.AUTHORIZED
    assert _intent({"id": "pi", "status": "processing"}).kind is Kind.PENDING
    error = {"decline_code": "stolen_card"}
    lost = _intent({"id": "pi", "status": "requires_payment_method", "last_payment_error": error})
    assert (lost.kind, lost.code, lost.is_soft) == (Kind.DECLINED, "lost_or_stolen", False)
    assert _refund({"id": "re", "status": "pending"}).kind is Kind.PENDING
    assert _refund({"id": "re", "status": "failed", "failure_reason": "x"}).kind is Kind.DECLINED
    assert _reply({"pspReference": "P", "resultCode": "Authorised"}) == Reply(
        Kind.AUTHORIZED, reference="P"
    )
    refused = _reply({"pspReference": "P", "resultCode": "Refused", "refusalReasonCode": "2"})
    assert (refused.kind, refused.is_soft) == (Kind.DECLINED, True)
    # The pspReference of a modification is not the payment's.
    assert _reply({"pspReference": "M", "status": "received"}).reference is None


def test_each_code_is_soft_or_hard_and_an_unlisted_one_is_hard():
    assert not SOFT & HARD
    assert set(STRIPE.values()) | set(ADYEN.values()) <= SOFT | HARD
    assert not declined(STRIPE, "what_is_this").is_soft
    assert not declined(ADYEN, None).is_soft


def test_a_reference_leads_back_to_its_row():
    reply = Reply(Kind.PENDING)
    assert report_of("e", f"{CHARGE}-12", reply).attempt == 12
    assert report_of("e", f"{CHARGE}-0", reply) is None
