"""Which change is which event, and that others can verify what is sent."""

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from payment_schemas.events.confirmation import PaymentStatusChanged
from testkit.events import event_of
from webhooks.domain.events import TEST, Message, body_of, event_type_of, message_of, state_of
from webhooks.domain.signatures import Secret, headers_of, secret_of

ENDPOINT = UUID(int=7)
OLD, NEW = secret_of("hmac-sha256", b"o" * 32), secret_of("hmac-sha256", b"n" * 32)


def change(status="SUCCESS", settlement_status="PENDING", **fields):
    return event_of(
        PaymentStatusChanged, status=status, settlement_status=settlement_status, **fields
    )


@pytest.mark.parametrize(
    ("status", "settlement_status", "event"),
    [
        ("PENDING", "NONE", None),
        ("OTP_REQUIRED", "NONE", "payment.otp_required"),
        ("DECLINED", "NONE", "payment.declined"),
        ("SUCCESS", "PENDING", "payment.confirmed"),
        ("SUCCESS", "SENT", None),
        ("SUCCESS", "UNKNOWN", None),
        ("SUCCESS", "RECONCILE", None),
        ("SUCCESS", "SETTLED", "payment.settled"),
        ("SUCCESS", "REJECTED", "payment.returned"),
    ],
)
def test_each_change_that_matters_to_an_owner_is_one_event(status, settlement_status, event):
    assert event_type_of(change(status, settlement_status)) == event


def test_the_id_of_a_message_follows_from_endpoint_payment_sequence_and_type():
    first = message_of(ENDPOINT, change(sequence=2), "payment.confirmed")

    assert first.id == message_of(ENDPOINT, change(sequence=2), "payment.confirmed").id
    others = [
        message_of(UUID(int=8), change(sequence=2), "payment.confirmed"),
        message_of(ENDPOINT, change(sequence=3), "payment.confirmed"),
        message_of(ENDPOINT, change(sequence=2), "payment.settled"),
    ]
    assert first.id not in {one.id for one in others}


def test_a_payload_has_the_sequence_of_its_event_and_the_status_when_it_is_sent():
    confirmed = message_of(ENDPOINT, change(sequence=2), "payment.confirmed")
    settled = state_of(change(settlement_status="SETTLED", sequence=4))
    payload = json.loads(body_of(confirmed, settled))

    assert payload["type"] == "payment.confirmed"
    assert payload["timestamp"] == confirmed.occurred_at.isoformat()
    data = payload["data"]
    assert (data["sequence"], data["status_sequence"]) == (2, 4)
    assert (data["status"], data["settlement_status"]) == ("SUCCESS", "SETTLED")
    assert not {"user_id", "from_account", "amount"} & data.keys()


def test_a_test_message_is_about_no_payment():
    message = Message(UUID(int=1), ENDPOINT, TEST, datetime(2026, 1, 1, tzinfo=UTC))
    assert json.loads(body_of(message, None))["data"] == {}


def now_s():
    return int(datetime.now(UTC).timestamp())


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_standardwebhooks_verifies_under_both_secrets_of_a_rotation(secret):
    headers = headers_of("msg_1", now_s(), b'{"type":"a"}', [NEW, OLD])
    assert Webhook(secret.text).verify(b'{"type":"a"}', headers) == {"type": "a"}


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (b'{"type":"b"}', {}),
        (b'{"type":"a"}', {"webhook-id": "msg_2"}),
        (b'{"type":"a"}', {"webhook-timestamp": "1"}),
    ],
)
def test_standardwebhooks_refuses_what_was_changed_on_the_way(body, changed):
    headers = headers_of("msg_1", now_s(), b'{"type":"a"}', [NEW])
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW.text).verify(body, headers | changed)


def test_a_key_pair_signs_what_its_public_key_verifies():
    secret = secret_of("ed25519", b"e" * 32)
    headers = headers_of("msg_1", 1, b"{}", [secret])
    version, _, signature = headers["webhook-signature"].partition(",")
    assert (version, secret.public[:5], secret.text[:5]) == ("v1a", "whpk_", "whsk_")

    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.public[5:]))
    key.verify(base64.b64decode(signature), b"msg_1.1.{}")
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signature), b"msg_2.1.{}")
    assert secret.text[5:] not in secret.public


def test_a_secret_shows_itself_nowhere():
    assert "whsec_" not in f"{NEW!r} {NEW}"


def test_a_damaged_secret_is_refused():
    with pytest.raises(ValueError, match="not base64"):
        Secret("whsec_?").signature(b"")
