"""One suite for the memory twin and for PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from risk.app import recent_payments
from risk.domain import Assessed, Expired, History, Waiting, assess
from risk.store import Learned, Window, queries
from risk.store.port import TABLE
from risk.store.postgres import PostgresAssessments
from service_runtime.admin import counts_of
from service_runtime.clock import SystemClock
from service_runtime.retention import purge

SEED = Path(__file__).parents[1] / "development" / "0001_seed.sql"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def learned(build):
    def paid(transaction_id, **fields):
        event = build.confirmed(transaction_id, **fields)
        return Learned(
            event.payment_id,
            event.user_id,
            event.to_account,
            event.context.country,
            event.confirmed_at,
        )

    return paid


@pytest.fixture
def window(build):
    return Window(build.now - 10 * MINUTE, 6)


async def history_of(backend, question, window):
    async with backend.database.transaction() as tx:
        return (await backend.store(tx).histories([question], window))[question.payment_id]


async def add(backend, *assessments):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).add(assessments)


async def learn(backend, *payments):
    async with backend.database.transaction() as tx:
        await backend.store(tx).learn(payments)


async def claim(backend, limit=10):
    async with backend.database.transaction() as tx:
        return list(await backend.table.claim(tx, limit, 10.0))


async def check(backend, now):
    async with backend.database.transaction() as tx:
        found = await queries.check(tx, now)
        return found._asdict() | await counts_of(tx, TABLE)


def assessed(build, question, kyc="verified", *, hit=False):
    evidence = build.evidence(kyc, hit=hit)
    return Assessed(question, assess(question, evidence, build.ordinary, build.policy), build.now)


async def test_nothing_is_known_of_a_user_who_never_paid(backend, build, window):
    question = build.question(country="US")
    assert await history_of(backend, question, window) == History(False, False, 0)


async def test_a_successful_payment_teaches_payee_country_and_velocity(
    backend, build, learned, window
):
    await learn(backend, learned("tx-0", country="US"))
    question = build.question(country="US")
    assert await history_of(backend, question, window) == History(True, True, 1)


async def test_nothing_is_learned_of_other_users(backend, build, learned, window):
    await learn(backend, learned("tx-0", country="US"))
    question = build.question(user_id="usr-2", country="US")
    assert await history_of(backend, question, window) == History(False, False, 0)


async def test_a_payment_that_is_told_twice_counts_once(backend, build, learned, window):
    await learn(backend, learned("tx-0"), learned("tx-0"))
    await learn(backend, learned("tx-0"))
    assert (await history_of(backend, build.question(), window)).recent_payments == 1


async def test_only_payments_within_the_window_are_recent(backend, build, learned, window):
    at = build.now
    await learn(
        backend,
        learned("tx-a", confirmed_at=at - 10 * MINUTE),
        learned("tx-b", confirmed_at=at - 10 * MINUTE + timedelta(milliseconds=1)),
        learned("tx-c", confirmed_at=at),
    )
    assert (await history_of(backend, build.question(), window)).recent_payments == 2


async def test_counting_stops_at_what_the_policy_tells_apart(backend, build, learned, window):
    await learn(backend, *(learned(f"tx-{number}") for number in range(20)))
    assert (await history_of(backend, build.question(), window)).recent_payments == 6


@pytest.mark.stack
async def test_old_payments_are_purged_and_payees_stay(real, build, learned):
    await learn(real, learned("old", confirmed_at=build.now - 11 * MINUTE), learned("new"))
    since_build = SystemClock().now() - build.now + 10 * MINUTE
    kept = replace(recent_payments(build.policy), keep=since_build)
    assert await purge(real.database, kept) == 1
    everything = Window(build.now - 60 * MINUTE, 6)
    assert await history_of(real, build.question(), everything) == History(True, False, 1)


async def test_a_payment_has_one_assessment(backend, build):
    first = build.question()
    other = build.question("tx-2")
    assert await add(backend, assessed(build, first)) == {first.payment_id}
    again = await add(backend, assessed(build, first), assessed(build, other))
    assert again == {other.payment_id}


async def test_an_assessed_payment_is_never_due(backend, build):
    await add(backend, assessed(build, build.question()))
    assert await claim(backend) == []


async def test_a_waiting_question_comes_back_whole_when_it_is_due(backend, build, clock):
    question = build.question(country="US", amount_minor=10**12)
    trace = (("traceparent", "00-1-2-01"),)
    await add(backend, Waiting(question, build.now, trace))
    (due,) = await claim(backend)
    assert (due.row, due.attempts, due.cause.trace) == (question, 1, trace)
    assert await claim(backend) == []


async def test_a_question_that_waits_until_later_is_not_due_now(backend, build):
    far = build.now + timedelta(days=36_500)
    await add(backend, Waiting(build.question(), far))
    assert await claim(backend) == []


@pytest.mark.parametrize("kyc", ["verified", "pending", "expired", "rejected"])
async def test_a_saved_result_ends_the_waiting(backend, build, kyc):
    question = build.question()
    await add(backend, Waiting(question, build.now))
    await claim(backend)
    async with backend.database.transaction() as tx:
        await backend.store(tx).save([assessed(build, question, kyc, hit=True)])
    assert await claim(backend) == []


async def test_saving_ends_the_lease(backend, build):
    question = build.question()
    await add(backend, Waiting(question, build.now))
    await claim(backend)
    async with backend.database.transaction() as tx:
        await backend.store(tx).save([Waiting(question, build.now)])
    (due,) = await claim(backend)
    assert (due.epoch, due.attempts) == (2, 2)


async def test_an_expired_question_is_kept_and_never_due(backend, build):
    question = build.question()
    await add(backend, Waiting(question, build.now))
    async with backend.database.transaction() as tx:
        await backend.store(tx).save([Expired(question)])
    assert await claim(backend) == []
    assert await add(backend, assessed(build, question)) == set()


@pytest.mark.stack
async def test_a_check_names_what_is_unfinished_and_how_long(real, build):
    question = build.question()
    await add(real, Waiting(question, build.now), assessed(build, build.question("tx-2")))
    found = await check(real, build.now + timedelta(seconds=30))
    assert found["unfinished"] == [{"payment_id": question.payment_id, "age_s": 30.0}]
    assert found["violations"] == []
    assert (found["parked"], found["dead_letters"]) == (0, 0)


@pytest.mark.stack
async def test_a_check_finds_a_question_that_nobody_let_go(real, build):
    question = build.question(expires_at=build.now)
    await add(real, Waiting(question, build.now))
    assert (await check(real, build.now + MINUTE))["violations"] == []
    (violation,) = (await check(real, build.now + 2 * MINUTE))["violations"]
    assert (violation["invariant"], violation["payment_id"]) == ("I8", question.payment_id)


@pytest.mark.stack
async def test_a_check_counts_parked_questions(real, build):
    await add(real, Waiting(build.question(), build.now))
    (due,) = await claim(real)
    async with real.database.transaction() as tx:
        await real.table.park(tx, due, "Rejected")
    assert (await check(real, build.now))["parked"] == 1
    assert await claim(real) == []


@pytest.mark.stack
async def test_a_check_names_a_hundred_at_most(real, build):
    await add(real, *(Waiting(build.question(f"tx-{n}"), build.now) for n in range(120)))
    found = await check(real, build.now + timedelta(hours=1))
    assert (len(found["unfinished"]), len(found["violations"])) == (100, 100)


@pytest.mark.stack
async def test_the_row_keeps_everything_that_a_score_came_from(real, as_owner, build):
    question = build.question(amount_minor=520_000)
    await add(real, assessed(build, question, "pending", hit=True))
    row = as_owner.execute(
        "select status, score, level, amount_usd_minor, factors, sanctions, screenings, kyc,"
        " expires_at from assessment"
    ).fetchone()
    assert row == (
        "ASSESSED",
        75,
        "high",
        520_000,
        [{"name": "amount_from_5000_usd", "points": 45}, {"name": "kyc_pending", "points": 30}],
        "hit",
        [
            {"party": "debtor", "hit": False, "match_score": 0, "list_version": "list-1"},
            {"party": "creditor", "hit": True, "match_score": 100, "list_version": "list-1"},
        ],
        "pending",
        question.expires_at,
    )


@pytest.mark.stack
@pytest.mark.parametrize(
    "change",
    [
        pytest.param("update assessment set kyc = null", id="no state of documents"),
        pytest.param("update assessment set screenings = '[]'", id="no screenings"),
        pytest.param("update assessment set screenings = screenings - 1", id="one screening"),
        pytest.param("update assessment set sanctions = 'hit'", id="a hit that no screening has"),
        pytest.param("update assessment set score = 101", id="a score over 100"),
        pytest.param("update assessment set due_at = now()", id="due after it was assessed"),
        pytest.param("update assessment set status = 'EXPIRED'", id="expired with a result"),
    ],
)
async def test_the_database_refuses_a_result_that_is_not_whole(real, as_owner, build, change):
    await add(real, assessed(build, build.question()))
    with pytest.raises(psycopg.errors.CheckViolation):
        as_owner.execute(change)


@pytest.mark.stack
async def test_the_service_cannot_delete_an_assessment(real, build):
    await add(real, assessed(build, build.question()))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with real.database.transaction() as tx:
            await tx.rows("delete from assessment")


@pytest.mark.stack
@pytest.mark.parametrize("user_id", ["usr-456", "usr-457", "usr-458", "usr-459"])
async def test_the_seeded_users_know_payee_known(real, as_owner, build, user_id, window):
    as_owner.execute(SEED.read_bytes())
    as_owner.execute(SEED.read_bytes())
    known, stranger = [
        await history_of(real, build.question(user_id=user_id, to_account=payee), window)
        for payee in ("payee-known", "payee-xyz")
    ]
    assert (known.payee_known, stranger.payee_known) == (True, False)


@pytest.mark.stack
async def test_histories_stay_flat_over_many_payments(real, as_owner, build, window):
    as_owner.execute(
        """insert into known_payee select 'usr-' || mod(n, 100000), 'payee-' || n, now()
           from generate_series(1, 300000) as n"""
    )
    as_owner.execute(
        """insert into recent_payment select gen_random_uuid(), 'usr-' || mod(n, 1000), %s
           from generate_series(1, 300000) as n""",
        (build.now,),
    )
    as_owner.execute("analyze known_payee; analyze recent_payment")
    questions = [build.question(f"tx-{n}", user_id=f"usr-{n % 1000}") for n in range(500)]
    async with real.database.transaction() as tx:
        await tx.connection.execute("set local statement_timeout = '2s'")
        found = await real.store(tx).histories(questions, window)
    assert {history.recent_payments for history in found.values()} == {6}


@pytest.mark.stack
async def test_known_payees_are_looked_up_by_key_and_never_read_whole(
    real, as_owner, build, window
):
    as_owner.execute(
        """insert into known_payee select 'usr-' || n, 'payee-' || n, now()
           from generate_series(1, 3690) as n"""
    )
    as_owner.execute("analyze known_payee")
    async with real.database.transaction() as tx:
        plan = await _plan_of(tx, [build.question()], window)
    assert "known_payee_pkey" in plan
    assert "rows=3690" not in plan


async def _plan_of(tx, questions, window):
    """Return the plan of the statement that reads histories."""
    statements = []

    class Recording:
        async def rows(self, statement, **parameters):
            statements.append((statement, parameters))
            return []

    await PostgresAssessments(Recording()).histories(questions, window)
    [(statement, parameters)] = statements
    cursor = await tx.connection.execute(f"explain {statement}", parameters)
    return "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())


@pytest.mark.stack
async def test_operators_are_shown_assessments_and_checks_get_them_page_by_page(real, build):
    result = assess(build.question(), build.evidence(), History(True, True, 0), build.policy)
    whole = Assessed(build.question(), result, build.now)
    waiting = Waiting(build.question("tx-2"), build.now, ())
    await add(real, whole, waiting)
    async with real.database.transaction() as tx:
        (shown,) = await queries.of_payment(tx, whole.question.payment_id)
        (open_one,) = await queries.of_payment(tx, waiting.question.payment_id)
        assert await queries.of_payment(tx, UUID(int=1)) == []
        page = await queries.export(tx, UUID(int=0), 1)
        page += await queries.export(tx, page[0]["payment_id"], 5)
    assert (shown["status"], shown["score"], shown["kyc"]) == ("ASSESSED", result.score, "verified")
    assert [one["party"] for one in shown["screenings"]] == ["debtor", "creditor"]
    assert (open_one["status"], open_one["score"]) == ("WAITING", None)
    ids = [row["payment_id"] for row in page]
    assert ids == sorted([whole.question.payment_id, waiting.question.payment_id])
    by_status = {row["status"]: (row["score"], row["sanctions"], row["screenings"]) for row in page}
    assert by_status == {"ASSESSED": (result.score, "clear", 2), "WAITING": (None, None, 0)}
