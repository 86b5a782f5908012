"""Shapes, questions and a running service for the tests of insight."""

import asyncio
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

from insight.domain.shape import Contribution, Shape
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.events.risk import RiskAssessed
from testkit.events import event_of

LABELLED = json.loads((Path(__file__).parent / "labelled.json").read_text())
OWN, OTHER = "usr-chat-1", "usr-chat-2"
WITHIN_S = 30
KEY = "sk-of-the-tests"
FACTORS = (
    *("amount_from_1000_usd", "amount_from_5000_usd", "amount_from_10000_usd"),
    *("new_payee", "new_country", "velocity", "kyc_pending", "kyc_expired"),
    *("rule_US_AMOUNT_LIMIT", "rule_SAFE7_unevaluated", "model_unavailable", "other"),
)


def shape_by(chance: random.Random) -> Shape:
    """A risk as risk could assess it, by chance."""
    names = chance.sample(FACTORS, chance.randint(0, 5))
    factors = tuple(Contribution(name, chance.randint(0, 50)) for name in names)
    score = min(100, sum(one.points for one in factors))
    level = next(name for least, name in LEVELS if score >= least)
    return Shape(
        score,
        level,
        factors,
        chance.choice(["clear", "clear", "hit"]),
        chance.choice(["verified", "pending", "expired", "rejected"]),
        tuple(chance.sample(["code", "decline", "review"], chance.randint(0, 2))),
    )


LEVELS = ((95, "critical"), (70, "high"), (40, "medium"), (0, "low"))


def ids(user_id, transaction_id):
    payment_id = uuid5(UUID(int=53), f"{user_id}/{transaction_id}")
    return {"payment_id": payment_id, "user_id": user_id, "transaction_id": transaction_id}


def assessed(transaction_id, user_id=OWN, **fields):
    return event_of(RiskAssessed, **ids(user_id, transaction_id), **fields)


def changed(transaction_id, user_id=OWN, days_ago=0, **fields):
    made = datetime.now(UTC) - timedelta(days=days_ago, seconds=5)
    times = {"created_at": made, "occurred_at": made + timedelta(seconds=2)}
    return event_of(PaymentStatusChanged, **ids(user_id, transaction_id), **times, **fields)


async def until(condition, within_s=WITHIN_S):
    """Wait for a condition, a function or a coroutine function; fail past the time."""
    end_s = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end_s, "did not happen in time"
        await asyncio.sleep(0.05)
