"""One contract for the memory twin and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from payment_schemas.sealed import Sealed
from risk.app import recent_payments
from risk.domain import Assessed, Expired, History, Waiting, assess
from risk.store import SuccessfulPayment, Window, queries
from risk.store.port import TABLE
from risk.store.postgres import PostgresAssessments
from service_runtime.admin import counts_of
from service_runtime.clock import SystemClock
from service_runtime.retention import purge

SEED = Path(__file__).parents[1] / "development" / "0001_seed.sql"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def paid(build):
    def payment(transaction_id, **fields):
        event = build.confirmed(transaction_id, **fields)
        return SuccessfulPayment(
            event.payment_id,
            event.user_id,
            event.to_account,
            event.context.country,
            event.confirmed_at,
        )

    return payment


@pytest.fixture
def window(build):
    return Window(build.now - 10 * MINUTE, 6)


async def history_of(backend, request, window):
    async with backend.database.transaction() as tx:
        return (await backend.store(tx).histories([request], window))[request.payment_id]


async def add(backend, *assessments):
    async with backend.database.transaction() as tx:
        return await backend.store(tx).add(assessments)


async def add_payments(backend, *payments):
    async with backend.database.transaction() as tx:
        await backend.store(tx).add_payments(payments)


async def claim(backend, limit=10):
    async with backend.database.transaction() as tx:
        return list(await backend.table.claim(tx, limit, 10.0))


async def check(backend, now):
    async with backend.database.transaction() as tx:
        found = await queries.check(tx, now)
        return found._asdict() | await counts_of(tx, TABLE)


def assessed(build, request, kyc="verified", *, hit=False):
    evidence = build.evidence(kyc, hit=hit)
    return Assessed(request, assess(request, evidence, build.ordinary, build.policy), build.now)


async def test_a_user_without_payments_has_an_empty_history(backend, build, window):
    request = build.request(country="US")
    assert await history_of(backend, request, window) == History(False, False, 0)


async def test_a_successful_payment_adds_payee_country_and_velocity(backend, build, paid, window):
    await add_payments(backend, paid("tx-0", country="US"))
    request = build.request(country="US")
    assert await history_of(backend, request, window) == History(True, True, 1)


async def test_a_payment_does_not_change_other_users_histories(backend, build, paid, window):
    await add_payments(backend, paid("tx-0", country="US"))
    request = build.request(user_id="usr-2", country="US")
    assert await history_of(backend, request, window) == History(False, False, 0)


async def test_a_redelivered_payment_counts_once(backend, build, paid, window):
    await add_payments(backend, paid("tx-0"), paid("tx-0"))
    await add_payments(backend, paid("tx-0"))
    assert (await history_of(backend, build.request(), window)).recent_payments == 1


async def test_only_payments_within_the_window_are_recent(backend, build, paid, window):
    at = build.now
    await add_payments(
        backend,
        paid("tx-a", confirmed_at=at - 10 * MINUTE),
        paid("tx-b", confirmed_at=at - 10 * MINUTE + timedelta(milliseconds=1)),
        paid("tx-c", confirmed_at=at),
    )
    assert (await history_of(backend, build.request(), window)).recent_payments == 2


async def test_counting_stops_at_the_windows_limit(backend, build, paid, window):
    await add_payments(backend, *(paid(f"tx-{number}") for number in range(20)))
    assert (await history_of(backend, build.request(), window)).recent_payments == 6


@pytest.mark.stack
async def test_old_payments_are_purged_and_payees_stay(real, build, paid):
    await add_payments(real, paid("old", confirmed_at=build.now - 11 * MINUTE), paid("new"))
    since_build = SystemClock().now() - build.now + 10 * MINUTE
    kept = replace(recent_payments(build.policy), keep=since_build)
    assert await purge(real.database, kept) == 1
    everything = Window(build.now - 60 * MINUTE, 6)
    assert await history_of(real, build.request(), everything) == History(True, False, 1)


async def test_a_payment_has_one_assessment(backend, build):
    first = build.request()
    other = build.request("tx-2")
    assert await add(backend, assessed(build, first)) == {first.payment_id}
    again = await add(backend, assessed(build, first), assessed(build, other))
    assert again == {other.payment_id}


async def test_an_assessed_payment_is_never_due(backend, build):
    await add(backend, assessed(build, build.request()))
    assert await claim(backend) == []


async def test_a_due_request_is_claimed_with_all_its_fields(backend, build, clock):
    request = build.request(country="US", amount_minor=10**12)
    trace = (("traceparent", "00-1-2-01"),)
    await add(backend, Waiting(request, build.now, trace))
    (due,) = await claim(backend)
    assert (due.row, due.attempts, due.cause.trace) == (request, 1, trace)
    assert await claim(backend) == []


async def test_a_request_is_not_due_before_its_time(backend, build):
    far = build.now + timedelta(days=36_500)
    await add(backend, Waiting(build.request(), far))
    assert await claim(backend) == []


@pytest.mark.parametrize("kyc", ["verified", "pending", "expired", "rejected"])
async def test_a_saved_result_is_not_claimed_again(backend, build, kyc):
    request = build.request()
    await add(backend, Waiting(request, build.now))
    await claim(backend)
    async with backend.database.transaction() as tx:
        await backend.store(tx).save([assessed(build, request, kyc, hit=True)])
    assert await claim(backend) == []


async def test_saving_ends_the_lease(backend, build):
    request = build.request()
    await add(backend, Waiting(request, build.now))
    await claim(backend)
    async with backend.database.transaction() as tx:
        await backend.store(tx).save([Waiting(request, build.now)])
    (due,) = await claim(backend)
    assert (due.epoch, due.attempts) == (2, 2)


async def test_an_expired_request_is_kept_and_never_due(backend, build):
    request = build.request()
    await add(backend, Waiting(request, build.now))
    async with backend.database.transaction() as tx:
        await backend.store(tx).save([Expired(request)])
    assert await claim(backend) == []
    assert await add(backend, assessed(build, request)) == set()


@pytest.mark.stack
async def test_a_check_lists_unfinished_requests_with_their_age(real, build):
    request = build.request()
    await add(real, Waiting(request, build.now), assessed(build, build.request("tx-2")))
    found = await check(real, build.now + timedelta(seconds=30))
    assert found["unfinished"] == [{"payment_id": request.payment_id, "age_s": 30.0}]
    assert found["violations"] == []
    assert (found["parked"], found["dead_letters"]) == (0, 0)


@pytest.mark.stack
async def test_a_check_finds_a_request_that_waits_after_its_expiry(real, build):
    request = build.request(expires_at=build.now)
    await add(real, Waiting(request, build.now))
    assert (await check(real, build.now + MINUTE))["violations"] == []
    (violation,) = (await check(real, build.now + 2 * MINUTE))["violations"]
    assert (violation["invariant"], violation["payment_id"]) == ("I8", request.payment_id)


@pytest.mark.stack
async def test_a_check_counts_parked_requests(real, build):
    await add(real, Waiting(build.request(), build.now))
    (due,) = await claim(real)
    async with real.database.transaction() as tx:
        await real.table.park(tx, due, "Rejected")
    assert (await check(real, build.now))["parked"] == 1
    assert await claim(real) == []


@pytest.mark.stack
async def test_a_check_lists_at_most_a_hundred_of_each(real, build):
    await add(real, *(Waiting(build.request(f"tx-{n}"), build.now) for n in range(120)))
    found = await check(real, build.now + timedelta(hours=1))
    assert (len(found["unfinished"]), len(found["violations"])) == (100, 100)


@pytest.mark.stack
async def test_the_row_has_all_inputs_of_the_score(real, as_owner, build):
    request = build.request(amount_minor=520_000)
    await add(real, assessed(build, request, "pending", hit=True))
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
        request.expires_at,
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
async def test_the_database_refuses_an_incomplete_result(real, as_owner, build, change):
    await add(real, assessed(build, build.request()))
    with pytest.raises(psycopg.errors.CheckViolation):
        as_owner.execute(change)


@pytest.mark.stack
async def test_the_service_cannot_delete_an_assessment(real, build):
    await add(real, assessed(build, build.request()))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with real.database.transaction() as tx:
            await tx.rows("delete from assessment")


@pytest.mark.stack
@pytest.mark.parametrize("user_id", ["usr-456", "usr-457", "usr-458", "usr-459"])
async def test_payee_known_is_known_to_the_seeded_users(real, as_owner, build, user_id, window):
    as_owner.execute(SEED.read_bytes())
    as_owner.execute(SEED.read_bytes())
    known, stranger = [
        await history_of(real, build.request(user_id=user_id, to_account=payee), window)
        for payee in ("payee-known", "payee-xyz")
    ]
    assert (known.payee_known, stranger.payee_known) == (True, False)


@pytest.mark.stack
async def test_histories_are_fast_over_many_payments(real, as_owner, build, window):
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
    requests = [build.request(f"tx-{n}", user_id=f"usr-{n % 1000}") for n in range(500)]
    async with real.database.transaction() as tx:
        await tx.connection.execute("set local statement_timeout = '2s'")
        found = await real.store(tx).histories(requests, window)
    assert {history.recent_payments for history in found.values()} == {6}


@pytest.mark.stack
async def test_known_payees_are_read_by_key_and_never_whole(real, as_owner, build, window):
    as_owner.execute(
        """insert into known_payee select 'usr-' || n, 'payee-' || n, now()
           from generate_series(1, 3690) as n"""
    )
    as_owner.execute("analyze known_payee")
    async with real.database.transaction() as tx:
        plan = await _plan_of(tx, [build.request()], window)
    assert "known_payee_pkey" in plan
    assert "rows=3690" not in plan


async def _plan_of(tx, requests, window):
    """Return the plan of the statement that reads histories."""
    statements = []

    class Recording:
        async def rows(self, statement, **parameters):
            statements.append((statement, parameters))
            return []

    await PostgresAssessments(Recording()).histories(requests, window)
    [(statement, parameters)] = statements
    cursor = await tx.connection.execute(f"explain {statement}", parameters)
    return "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())


@pytest.mark.stack
async def test_assessments_are_queried_by_payment_and_exported_in_pages(real, build):
    result = assess(build.request(), build.evidence(), History(True, True, 0), build.policy)
    whole = Assessed(build.request(), result, build.now)
    waiting = Waiting(build.request("tx-2"), build.now, ())
    await add(real, whole, waiting)
    async with real.database.transaction() as tx:
        (shown,) = await queries.of_payment(tx, whole.request.payment_id)
        (open_one,) = await queries.of_payment(tx, waiting.request.payment_id)
        assert await queries.of_payment(tx, UUID(int=1)) == []
        page = await queries.export(tx, UUID(int=0), 1)
        page += await queries.export(tx, page[0]["payment_id"], 5)
    assert (shown["status"], shown["score"], shown["kyc"]) == ("ASSESSED", result.score, "verified")
    assert [one["party"] for one in shown["screenings"]] == ["debtor", "creditor"]
    assert (open_one["status"], open_one["score"]) == ("WAITING", None)
    ids = [row["payment_id"] for row in page]
    assert ids == sorted([whole.request.payment_id, waiting.request.payment_id])
    by_status = {row["status"]: (row["score"], row["sanctions"], row["screenings"]) for row in page}
    assert by_status == {"ASSESSED": (result.score, "clear", 2), "WAITING": (None, None, 0)}


@pytest.mark.stack
async def test_a_sealed_name_is_kept_as_long_as_the_request_waits(real, as_owner, build):
    request = build.request(sealed_to_name=Sealed("k.sealed"))
    await add(real, Waiting(request, build.now))
    stored = "select status, sealed_to_name from assessment"
    assert as_owner.execute(stored).fetchall() == [("WAITING", "k.sealed")]
    async with real.database.transaction() as tx:
        await real.store(tx).save([assessed(build, request)])
    assert as_owner.execute(stored).fetchall() == [("ASSESSED", None)]
