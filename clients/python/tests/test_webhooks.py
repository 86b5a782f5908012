"""Webhooks are verified as the table says, and as another implementation does."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks
from standardwebhooks.webhooks import WebhookVerificationError

from countersign_client.webhooks import InvalidWebhook, verify

TABLE = json.loads((Path(__file__).parents[2] / "webhook-cases.json").read_text())
CASES = TABLE["cases"]
SHARED = [case for case in CASES if "only_ours" not in case]


def named(case):
    return case["name"]


def outcome_of(case):
    try:
        message = verify(case["payload"], case["headers"], case["secret"], now_s=TABLE["now_s"])
    except InvalidWebhook as refused:
        return refused.reason
    except ValueError:
        return "invalid_secret"
    body = json.loads(case["payload"])
    assert (message.type, message.timestamp, message.data) == tuple(body.values())
    assert message.id in case["headers"].values()
    return "verified"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_message_has_the_outcome_of_the_table(case):
    assert outcome_of(case) == case["outcome"]


@pytest.mark.parametrize("case", SHARED, ids=named)
def test_another_implementation_accepts_and_refuses_the_same(case, monkeypatch):
    class AtThatTime(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(TABLE["now_s"], tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", AtThatTime)
    receiver = standardwebhooks.Webhook(case["secret"])
    if case["outcome"] == "verified":
        assert receiver.verify(case["payload"], case["headers"])
    else:
        with pytest.raises(WebhookVerificationError):
            receiver.verify(case["payload"], case["headers"])


def test_a_message_that_another_implementation_signs_now_is_verified():
    secret, payload = CASES[0]["secret"], CASES[0]["payload"]
    now = datetime.fromtimestamp(int(time.time()), UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("msg_1", now, payload),
    }
    assert verify(payload.encode(), headers, secret).type == "payment.settled"
