"""A changed list: open payments and known payees are screened again, new hits become cases."""

import asyncio
import base64
from uuid import uuid4

import psycopg
import pytest
from lists_world import write
from psycopg.rows import dict_row

from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined, ReviewOpened
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from screening.app import build
from service_runtime.keys import KeyRing
from service_runtime.sealing import Sealer
from testbed.service import client_of, publish, published_events, running
from testkit.events import event_of
from testkit.operators import approval_of, signed_in

pytestmark = pytest.mark.stack
WITHIN_S = 40
OLD, NEW = "ADA LOVELACE", "GRACE HOPPER"
NAME = "Grace Hoper"
"""Of a payee who is not on the first list, and on the second."""
ANN, BEN = (signed_in("compliance.write", "ops.read", name=name) for name in ("ann", "ben"))
OTHER_KEY = base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def lists(tmp_path):
    """A folder of lists; `lists(name)` exchanges them, for a version that no other test has."""
    folder = tmp_path / "lists"
    folder.mkdir()

    def change(name):
        version = f"v{uuid4().hex[:10]}"
        write(folder, name, version)
        return f"OFAC {version}"

    change.folder = folder
    return change


@pytest.fixture
async def service(settings, lists):
    """Yield what publishes events, the client, and the version of the lists that it has now."""
    before = lists(OLD)
    found = settings.model_copy(update={"lists_folder": lists.folder, "lists_every_s": 0.2})
    async with running(build(found)) as process, client_of(process) as http:
        yield found, http, before


def payment(settings, before, *, name=NAME, key=None, account=None, outcome=None):
    """Return the events of one payment, and its ids."""
    payment_id, user = uuid4(), f"usr-{uuid4().hex[:8]}"
    own = {"payment_id": payment_id, "user_id": user, "transaction_id": f"tx-{user}"}
    accounts = {"from_account": f"acc-{user}", "to_account": account or f"payee-{user}"}
    sealer = Sealer(key or settings.sealing_keys)
    sealed = sealer.seal(name, payment_id).reveal() if name else None
    events = [
        event_of(AssessmentRequested, **own, **accounts, sealed_to_name=sealed, amount_minor=7_00),
        event_of(RiskAssessed, **own, score=42, screenings=[
            {"party": party, "hit": False, "list_version": before, "match_score": 0}
            for party in ("debtor", "creditor")
        ]),
    ]  # fmt: skip
    if outcome:
        events.append(event_of(outcome, **own, **accounts))
    return payment_id, accounts, events


async def known(database, settings, stack, *payments):
    """Publish the events of payments, the last ones first, and wait until all are read."""
    events = [event for _, _, events in payments for event in reversed(events)]
    await publish(stack.brokers, settings, *events)
    ids = [str(one) for one, _, _ in payments]
    decided = sum(len(events) > 2 for _, _, events in payments)
    whole = "to_account is not null and lists_version is not null"
    await until(
        database,
        f"select count(*) filter (where {whole}) = {len(ids)}"  # noqa: S608 - a test's own text
        f" and count(outcome) = {decided} as done from screened_payment"
        " where payment_id = any(%s::uuid[])",
        ids,
    )


async def until(database, statement, *parameters):
    """Wait until a statement's row says that it is `done`."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = rows(database, statement, *parameters)
            if found and found[0]["done"]:
                return
            await asyncio.sleep(0.1)


def rows(database, statement, *parameters):
    with psycopg.connect(database.owner_dsn, row_factory=dict_row) as connection:
        return connection.execute(statement, parameters).fetchall()


async def screened_with(database, version, *payments):
    await until(
        database,
        """select bool_and(lists_version = %s or outcome = 'DECLINED') as done
           from screened_payment where payment_id = any(%s::uuid[])""",
        version,
        [str(one) for one, _, _ in payments],
    )


def reported(database, *payments):
    return rows(
        database,
        """select payment_id, party, entry_id, list_version from reported_hit
           where payment_id = any(%s::uuid[])""",
        [str(one) for one, _, _ in payments],
    )


async def test_a_new_hit_of_an_open_payment_and_of_a_known_payee_opens_a_case(
    service, lists, database, stack
):
    settings, _, before = service
    opened = payment(settings, before)
    confirmed = payment(settings, before, outcome=PaymentConfirmed)
    declined = payment(settings, before, outcome=PaymentDeclined)
    innocent = payment(settings, before, name="Maria Garcia", outcome=PaymentConfirmed)
    every = opened, confirmed, declined, innocent
    await known(database, settings, stack, *every)

    after = lists(NEW)
    await screened_with(database, after, *every)

    found = {one["payment_id"] for one in reported(database, *every)}
    assert found == {opened[0], confirmed[0]}
    for one in (opened, confirmed):
        (review,) = await published_events(stack.brokers, ReviewOpened, one[0])
        assert (review.reasons, review.amount_minor, review.risk_score) == (("risk",), 7_00, 42)
        hit = review.screening
        assert (hit.party, hit.hit, hit.list_name, hit.entry) == ("creditor", True, "OFAC", "36")
        assert (f"OFAC {hit.list_version}", hit.by) == (after, ("account", "name"))
        assert hit.match_score >= 70
        assert "opper" not in review.model_dump_json().lower()


async def test_a_known_payee_is_one_case_however_many_payments_it_has(
    service, lists, database, stack
):
    settings, _, before = service
    account = f"payee-{uuid4().hex[:8]}"
    paid = [payment(settings, before, account=account, outcome=PaymentConfirmed) for _ in range(3)]
    await known(database, settings, stack, *paid)
    await screened_with(database, lists(NEW), *paid)
    assert len(reported(database, *paid)) == 1
    # The next version of the list says nothing new.
    await screened_with(database, lists(NEW), *paid)
    assert len(reported(database, *paid)) == 1


async def test_an_excepted_payee_is_no_case(service, lists, database, stack):
    settings, http, before = service
    paid = payment(settings, before, outcome=PaymentConfirmed)
    body = {
        "account_id": paid[1]["to_account"], "list": "OFAC", "entry": "36", "reason": "another",
        "last_day": "2999-01-01",
    }  # fmt: skip
    refused = await http.post("/admin/exceptions", json=body, headers=ANN)
    assert refused.status_code == 400
    day = rows(database, "select (current_date + 30)::text as day")[0]["day"]
    reply = await http.post("/admin/exceptions", json=body | {"last_day": day}, headers=ANN)
    assert (await http.post(**approval_of(reply.json()), headers=BEN)).status_code == 200
    await known(database, settings, stack, paid)
    await screened_with(database, lists(NEW), paid)
    assert reported(database, paid) == []


async def test_names_are_stored_sealed_and_those_of_declined_payments_not_at_all(
    service, database, stack
):
    settings, _, before = service
    confirmed, declined = (
        payment(settings, before, outcome=outcome)
        for outcome in (PaymentConfirmed, PaymentDeclined)
    )
    await known(database, settings, stack, confirmed, declined)
    stored = {
        row["payment_id"]: row["sealed_to_name"]
        for row in rows(database, "select payment_id, sealed_to_name from screened_payment")
    }
    assert stored[declined[0]] is None
    assert stored[confirmed[0]].startswith(settings.sealing_keys.current.id)
    assert "opper" not in str(stored).lower()


async def test_a_name_under_a_retired_key_is_kept_and_its_account_screened(
    service, lists, database, stack
):
    settings, _, before = service
    retired = KeyRing(base64.b64decode(OTHER_KEY))
    unknown = payment(settings, before, key=retired, outcome=PaymentConfirmed)
    await known(database, settings, stack, unknown)
    await screened_with(database, lists(NEW), unknown)
    assert reported(database, unknown) == []
    (row,) = rows(
        database, "select sealed_to_name from screened_payment where payment_id = %s", unknown[0]
    )
    assert row["sealed_to_name"].startswith(retired.current.id)


async def test_names_are_sealed_under_the_current_key_at_a_change_of_a_list(
    settings, lists, database, stack, tmp_path
):
    old = base64.b64encode(b"k" * 32).decode()
    both = tmp_path / "both.key"
    both.write_text(f"{OTHER_KEY}\n{old}\n")
    before = lists(OLD)
    rotated = settings.model_copy(
        update={
            "lists_folder": lists.folder,
            "lists_every_s": 0.2,
            "sealing_keys": KeyRing.of_file(str(both)),
        }
    )
    async with running(build(rotated)):
        paid = payment(settings, before, name="Maria Garcia", outcome=PaymentConfirmed)
        await known(database, settings, stack, paid)
        await screened_with(database, lists(NEW), paid)
    (row,) = rows(
        database, "select sealed_to_name from screened_payment where payment_id = %s", paid[0]
    )
    assert row["sealed_to_name"].startswith(rotated.sealing_keys.current.id)
