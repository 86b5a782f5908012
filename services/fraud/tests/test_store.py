"""The tables count as the memory twin does; every statement reads by key."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import psycopg
import pytest

from fraud.domain.activity import MemoryActivity, features_of_rows
from fraud.domain.features import BUCKET_S, FEATURES
from fraud.settings import SHIPPED
from fraud.store import Activity, Paid, Registry, Scored, Scores, load_scorers
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON
from testkit.plans import multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
PAYMENTS, BATCH, ROWS = 3_000, 100, 50_000


@pytest.fixture
async def fresh(infrastructure, tmp_path):
    with fresh_database(infrastructure, "fraud", [MIGRATIONS]) as made:
        async with database_of(made.dsn, tmp_path) as database:
            yield database, made


def paid(number, **fields):
    given = {
        "payment_id": UUID(int=number),
        "user_id": "usr-1",
        "transaction_id": f"tx-{number}",
        "payee": "acc-2",
        "device": "device-1",
        "amount_usd_minor": 100,
        "confirmed_at": NOON,
    }
    return Paid(**(given | fields))


def payments():
    """Payments of 70 days by few customers, so that every window has something in it."""
    chance = random.Random(3)  # noqa: S311 - repeatable
    start = datetime(2026, 1, 1, tzinfo=UTC)
    seconds = sorted(chance.randrange(70 * 86_400) for _ in range(PAYMENTS))
    for number, second in enumerate(seconds):
        yield paid(
            number,
            user_id=f"usr-{chance.randrange(40)}",
            payee=f"acc-{chance.randrange(15)}",
            device=chance.choice([None, f"device-{chance.randrange(50)}"]),
            amount_usd_minor=chance.randrange(1, 500_000),
            confirmed_at=start + timedelta(seconds=second),
        )


async def test_the_tables_and_the_memory_twin_make_the_same_features_to_the_bit(fresh):
    database, _ = fresh
    chance = random.Random(4)  # noqa: S311 - repeatable
    memory, everyone = MemoryActivity(), list(payments())
    for first in range(0, PAYMENTS, BATCH):
        batch = everyone[first : first + BATCH]
        observed = [one.observed() for one in batch]
        at = batch[-1].confirmed_at
        reported = [one for one in everyone[max(0, first - 300) : first] if chance.random() < 0.02]
        async with database.transaction() as tx:
            stored = features_of_rows(observed, await Activity(tx).rows(observed))
            await Activity(tx).pay(batch)
        kept = features_of_rows(observed, [memory.row(one) for one in observed])
        assert (stored.view(np.uint32) == kept.view(np.uint32)).all()
        for one in observed:
            memory.pay(one)
        for one in reported:
            async with database.transaction() as tx:
                is_first = await Activity(tx).report(one, at, **REPORT)
            if is_first:
                memory.report(one.observed(), int(at.timestamp()) // BUCKET_S)
    assert len({row.tobytes() for row in stored}) > 1


REPORT = {"fraud_type": "payment_fraud", "details": None, "reported_by": "alice"}


async def test_a_payment_and_a_report_count_once(fresh):
    database, _ = fresh
    one = paid(1)
    async with database.transaction() as tx:
        await Activity(tx).pay([one])
        await Activity(tx).pay([one, paid(2)])
        seen = [await Activity(tx).report(one, NOON, **REPORT) for _ in range(2)]
        (row,) = await Activity(tx).rows([one.observed()])
        found = await Activity(tx).reports("usr-1")
    features = dict(zip(FEATURES, features_of_rows([one.observed()], [row])[0], strict=True))
    assert seen == [True, False]
    assert features["customer_payments_1d"] == 2
    assert features["device_reports_30d"] == 1
    assert [one["transaction_id"] for one in found] == ["tx-1"]


def scored(number, version, probability, **fields):
    given = Scored(
        UUID(int=number), version, version == "a", "usr-1", probability, ("amount",),
        (0.0,) * len(FEATURES), NOON,
    )  # fmt: skip
    return replace(given, **fields)


async def test_outcomes_count_payments_whose_truth_is_known(fresh):
    database, _ = fresh
    since, mature = NOON - timedelta(days=30), NOON - timedelta(days=7)
    old = NOON - timedelta(days=8)
    async with database.transaction() as tx:
        await Activity(tx).pay([paid(1, confirmed_at=old), paid(2), paid(3)])
        await Activity(tx).report(paid(2), NOON, **REPORT)
        # Of an old payment nothing was reported; the third one's truth is not known yet.
        rows = [scored(n, v, p) for n in (1, 2, 3, 4) for v, p in (("a", 0.5), ("b", 0.25))]
        await Scores(tx).add(rows)
        await Scores(tx).add(rows)
        found = await Scores(tx).outcomes(since, mature)
        pairs = await Scores(tx).pairs("b", "a", since, mature)
        sample = await Scores(tx).sample("a", since)
        decided = await Scores(tx).decided(UUID(int=3))
    assert [(one["version"], one["payments"], one["found"]) for one in found] == [
        ("a", 2, 1), ("b", 2, 1),
    ]  # fmt: skip
    assert found[0]["expected"] == pytest.approx(1.0)
    assert (pairs.count, pairs.mean) == (
        2,
        pytest.approx((0.25**2 - 0.5**2 + 0.75**2 - 0.5**2) / 2),
    )
    assert sample.features.shape == (4, len(FEATURES))
    assert (decided["version"], decided["reasons"]) == ("a", ["amount"])


async def test_no_statement_of_a_score_scans_a_table(fresh):
    database, made = fresh
    async with database.transaction() as tx:
        await Activity(tx).pay([paid(1)])
        await Scores(tx).add([scored(1, "a", 0.5)])
    with psycopg.connect(made.owner_dsn, autocommit=True) as owner:
        multiply(owner, "activity", ROWS, key="'k' || n")
        multiply(owner, "paid", ROWS, payment_id="gen_random_uuid()", user_id="'u' || n")
        multiply(owner, "score", ROWS, payment_id="gen_random_uuid()")

    async with database.transaction() as tx:
        planned, connection = planning(tx)
        await Activity(planned).rows([paid(1).observed(), paid(2).observed()])
        await Activity(planned).pay([paid(2)])
        await Activity(planned).found("usr-1", "tx-1")
        await Activity(planned).report(paid(1), NOON, **REPORT)
        await Scores(planned).add([scored(2, "a", 0.5)])
        await Scores(planned).decided(UUID(int=1))
    assert (connection.explained >= 6, connection.slow) == (True, [])


async def test_the_registry_begins_with_the_first_model_and_refuses_steps_of_one_person(fresh):
    database, made = fresh
    cards = [one.card for one in load_scorers(SHIPPED).values()]
    async with database.transaction() as tx:
        for card in [*sorted(cards, key=lambda one: not one.is_first), *cards]:
            await Registry(tx).add(card)
        models = await Registry(tx).models()
    stages = {one.version: (one.stage, one.share) for one in models}
    assert sorted(stages.values()) == [("LIVE", 100), *[("SHADOW", 0)] * (len(stages) - 1)]
    shadow = next(name for name, (stage, _) in stages.items() if stage == "SHADOW")
    refused = {
        "update model set stage = 'CANARY', share = 50 where version = %s": "second person",
        "insert into model values (%s || 'x', 'CANARY', 10, '{}')": "begins as a shadow",
        "delete from model where version = %s": "permission denied",
    }
    for statement, why in refused.items():
        with psycopg.connect(made.dsn) as connection, pytest.raises(psycopg.Error, match=why):
            connection.execute(statement, [shadow])
