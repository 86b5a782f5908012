"""Every statement of otp's event path reads by key, at 100,000 rows a table."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from otp.domain import CodeAttempt, Refusal, RequestKey, Verdict
from otp.store import PostgresChallenges, Verification
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.plans import multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 100_000
TOPIC = "otp.challenge-requested.v1"
INVALID = Verdict("invalid", challenge_over=False, counted=True)


@pytest.fixture
async def large(infrastructure, tmp_path):
    with fresh_database(infrastructure, "otp", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield database, fresh.owner_dsn


def fill(dsn):
    new = "gen_random_uuid()"
    with psycopg.connect(dsn, autocommit=True) as owner:
        multiply(owner, "challenge", ROWS, id=new, payment_id=new, user_id="'u' || n")
        multiply(owner, "verification", ROWS, request_id=new, challenge_id=new)
        multiply(owner, "code_user", ROWS, user_id="'u' || n")
        multiply(owner, "challenge_refusal", ROWS, payment_id=new)
        multiply(owner, "inbox", ROWS, event_id=new)


async def work(tx, build):
    """Run every statement of the handlers."""
    store, challenge = PostgresChallenges(tx), build.challenge()
    question = CodeAttempt(uuid4(), challenge.id, challenge.payment.payment_id)
    key = RequestKey(challenge.payment.payment_id, 1, 1)
    await tx.claim_inbox("otp", TOPIC, [uuid4()])
    users = dict(await store.lock_users({"usr-1"}))
    await store.with_issued(users, build.now - timedelta(days=1), 30)
    await store.answered({key})
    await store.refuse({key: Refusal("locked")})
    await store.add([challenge])
    await store.lock({challenge.id})
    await store.save([challenge])
    await store.verdicts({question})
    await store.add_verifications([Verification(question, INVALID, build.now)])
    await store.save_users(list(users.values()))


async def test_no_statement_scans_a_table(large, build):
    database, owner_dsn = large
    async with database.transaction() as tx:
        await work(tx, build)
    fill(owner_dsn)

    async with database.transaction() as tx:
        planned, connection = planning(tx)
        await work(planned, build)

    assert connection.explained >= 11
    assert connection.slow == []
