"""Every statement of a check reads by key, at 20,000 payments."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from rules_world import NO_HISTORY, NOON, ORDINARY, rule

from compliance.domain.cases import case_id_of
from compliance.domain.checks import Question, checked
from compliance.domain.kyc import State
from compliance.domain.rules import prepared
from compliance.store import Cases, Checks, Payments, Reviews, Rules
from compliance.store.kyc import Kyc
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.plans import multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 20_000
FIRST, SECOND = UUID(int=1), UUID(int=2)
PROFILES = """
with added as (
    insert into subject (user_id, key_id)
    select 'usr-' || n, gen_random_uuid() from generate_series(1, %(count)s::int) as n
    returning user_id)
insert into kyc_profile (user_id, round, level, state, announced, version)
select user_id, 1, 'BASIC', 'INITIATED', 'pending', 1 from added"""


def confirmed(payment_id):
    return {
        "payment_id": payment_id,
        "user_id": "usr-1",
        "payee": "acc-2",
        "amount_minor": 1,
        "currency": "USD",
        "country": None,
        "confirmed_at": NOON,
        "instrument": "CASH",
        "business_day": NOON.date(),
    }


def assessed(payment_id):
    return {
        "payment_id": payment_id,
        "user_id": "usr-1",
        "amount_usd_minor": 1,
        "debtor_hit": False,
        "creditor_hit": False,
        "match_score": 0,
        "list_version": "v",
        "kyc": "verified",
    }


async def work(tx, check_id):
    """Run every statement of the handlers and of a check."""
    await Payments(tx).know_assessed([assessed(FIRST)])
    await Payments(tx).know_confirmed([confirmed(FIRST), confirmed(SECOND)])
    await Rules(tx).current()
    later = replace(ORDINARY, at=NOON.replace(hour=13))
    histories = await Payments(tx).histories({FIRST: later})
    asked = Question(id=check_id, payment=ORDINARY, by="risk", payment_id=FIRST)
    await Checks(tx).add([checked(asked, NO_HISTORY, [prepared(rule())])])
    await Checks(tx).found(asked.id)
    await cases(tx, check_id)
    await Kyc(tx).in_state(State.REVIEW, "", 50)
    return histories[FIRST]


async def cases(tx, payment_id):
    """Run every statement that opens a case: of suspicion for a payment, of cash for all."""
    reviewed = {
        "payment_id": payment_id,
        "user_id": f"usr-{payment_id.int}",
        "transaction_id": "tx-1",
        "reasons": ["risk"],
        "detected_at": NOON,
        "due_on": NOON.date(),
    }
    await Cases(tx).open_suspicious([reviewed])
    await Cases(tx).open_for_cash([FIRST, SECOND])
    case_id = case_id_of("SAR", payment_id)
    case = await Cases(tx).lock(case_id, "nobody")
    await Reviews(tx).evidence(case)
    await Reviews(tx).entries(case_id)
    await Reviews(tx).queue(
        (NOON.date().replace(day=1), FIRST), 50, state=None, kind=None, hidden="nobody"
    )


async def test_no_statement_of_a_check_scans_a_table(infrastructure, tmp_path):
    with fresh_database(infrastructure, "compliance", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            async with database.transaction() as tx:
                history = await work(tx, FIRST)
            with psycopg.connect(fresh.owner_dsn, autocommit=True) as owner:
                owner.execute("delete from known_payment where payment_id = %s", (SECOND,))
                new = {"payment_id": "gen_random_uuid()", "user_id": "'u' || n"}
                multiply(owner, "known_payment", ROWS, **new)
                multiply(owner, "review_case", ROWS, id="gen_random_uuid()", user_id="'u' || n")
                linked = {"payment_id": "gen_random_uuid()", "case_id": "case_id"}
                multiply(owner, "case_payment", ROWS, **linked)
                multiply(owner, "compliance_check", ROWS, id="gen_random_uuid()")
                owner.execute(PROFILES, {"count": ROWS})

            async with database.transaction() as tx:
                planned, connection = planning(tx)
                again = await work(planned, SECOND)

    assert (history.payments_24h, history.payee_known) == (2, True)
    assert again == history
    assert connection.explained == 18
    assert connection.slow == []
