"""Review cases on real PostgreSQL and Kafka: opened by events, ended by two people."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET

import psycopg
import pytest

from payment_schemas.events.confirmation import PaymentConfirmed, ReviewOpened
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.ids import payment_id_of
from testbed.service import publish, published_events
from testkit.events import event_of
from testkit.operators import actor, approval_of, signed_in

pytestmark = pytest.mark.stack
SCOPES = ("ops.read", "compliance.write", "reviews.read", "reviews.write")
ANN, BEN = (signed_in(*SCOPES, name=name) for name in ("review-ann", "review-ben"))
VIEWER = signed_in("ops.read", "compliance.write", "ops.write", name="review-viewer")
PATH, REPORTS = "/admin/reviews", "/api/v1/compliance/reports"
MONDAY = datetime(2024, 12, 2, 15, tzinfo=UTC)
"""Ten in the morning in New York."""
FOUND_WITHIN_S = 30


def about(user_id, transaction_id):
    """Return the fields that all events of a payment share."""
    payment_id = payment_id_of(user_id, transaction_id)
    return {"payment_id": payment_id, "user_id": user_id, "transaction_id": transaction_id}


def assessed(user_id, transaction_id, amount_minor=600_000, **fields):
    own = {"amount_usd_minor": amount_minor, "kyc": "verified", **fields}
    return event_of(RiskAssessed, **about(user_id, transaction_id), **own)


def confirmed(user_id, transaction_id, amount_minor=600_000, at=MONDAY, **fields):
    own = {"amount_minor": amount_minor, "currency": "USD", "confirmed_at": at, **fields}
    return event_of(PaymentConfirmed, **about(user_id, transaction_id), **own)


def in_cash(user_id, transaction_id, amount_minor, at=MONDAY, branch="north"):
    """Return both events of a payment in cash."""
    paid = confirmed(user_id, transaction_id, amount_minor, at, instrument="CASH", branch=branch)
    return [assessed(user_id, transaction_id, amount_minor), paid]


def opened(user_id, transaction_id, amount_minor=600_000, reasons=("risk",)):
    own = {"amount_minor": amount_minor, "currency": "USD", "reasons": reasons, "risk_score": 95}
    return event_of(ReviewOpened, **about(user_id, transaction_id), **own)


async def queue(http, **query):
    """Return all cases, page by page, two at a time."""
    found, after = [], None
    while True:
        asked = {"limit": 2, **query, **({"after": after} if after else {})}
        reply = await http.get(PATH, params=asked, headers=ANN)
        assert reply.status_code == 200, reply.text
        found += reply.json()["reviews"]
        if (after := reply.json()["next"]) is None:
            return found


async def cases_of(http, user_id, count=1, **query):
    """Return a user's cases once there are as many."""
    for _ in range(10 * FOUND_WITHIN_S):
        found = [one for one in await queue(http, **query) if one["user_id"] == user_id]
        if len(found) >= count:
            assert len(found) == count
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{user_id}: {len(found)} cases, not {count}")


async def shown(http, case_id, headers=ANN):
    reply = await http.get(f"{PATH}/{case_id}", headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def evidence_of(http, case_id, count):
    """Return a case's evidence once it has as many payments with their facts."""
    for _ in range(10 * FOUND_WITHIN_S):
        found = (await shown(http, case_id))["evidence"]
        if len(found) == count and all(one["score"] is not None for one in found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{case_id}: {found}")


async def done(http, case_id, verb, body, headers=ANN):
    reply = await http.post(f"{PATH}/{case_id}/{verb}", json=body, headers=headers)
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


async def opened_case(at, user_id):
    """Return a new case about a user."""
    await at.publish(assessed(user_id, "tx-1"), opened(user_id, "tx-1"))
    (case,) = await cases_of(at.http, user_id)
    return case


@pytest.fixture
def at(http, settings, stack, database):
    """The service: its routes, what publishes to it, its database."""

    async def publish_all(*events):
        await publish(stack.brokers, settings, *events)

    return SimpleNamespace(http=http, publish=publish_all, stack=stack, database=database)


@pytest.fixture
def new_user(request):
    return f"usr-{request.node.name.partition('[')[0][-24:]}-{uuid4().hex[:6]}"


async def test_an_opened_review_becomes_a_case_with_its_evidence(at, new_user):
    events = [
        opened(new_user, "tx-1", reasons=("amount",)),
        assessed(new_user, "tx-1", 1_200_000, score=95),
        confirmed(new_user, "tx-1", 1_200_000, from_account="acc-7", to_account="acc-8"),
        opened(new_user, "tx-1", reasons=("amount",)),
        opened(new_user, "tx-2"),
        assessed(new_user, "tx-2", score=91),
    ]
    await at.publish(*events)
    (case,) = await cases_of(at.http, new_user)
    assert (case["kind"], case["state"], case["assignee"]) == ("SAR", "OPEN", None)
    detected = datetime.fromisoformat(case["detected_at"]).date()
    assert abs((datetime.fromisoformat(case["due_on"]).date() - detected).days - 30) <= 1
    evidence = {one["transaction_id"]: one for one in await evidence_of(at.http, case["id"], 2)}
    first = evidence["tx-1"]
    assert (first["reasons"], first["score"], first["amount_usd_minor"]) == (
        ["amount"], 95, 1_200_000,
    )  # fmt: skip


async def test_a_rule_that_demands_a_review_or_blocks_opens_a_case(at, new_user):
    blocked, passed = f"{new_user}-b", f"{new_user}-p"
    await at.publish(
        assessed(passed, "tx-0", rules=("code",)),
        assessed(blocked, "tx-1", rules=("decline",)),
        assessed(new_user, "tx-1", rules=("code", "review")),
    )
    (case,) = await cases_of(at.http, new_user)
    (other,) = await cases_of(at.http, blocked)
    assert {one["payments"] for one in (case, other)} == {1}
    with psycopg.connect(at.database.admin_dsn) as admin:
        kept = (
            "select count(*), count(seen_at) from compliance.known_payment where user_id = any(%s)"
        )
        assert admin.execute(kept, ([blocked, new_user],)).fetchone() == (2, 0)
        assert admin.execute(kept, ([passed],)).fetchone() == (1, 1)
        count = "select count(*) from compliance.review_case where user_id = %s"
        assert admin.execute(count, (passed,)).fetchone() == (0,)


async def test_two_people_end_a_case_and_one_alone_cannot(at, new_user):
    case = await opened_case(at, new_user)
    early = await at.http.post(
        f"{PATH}/{case['id']}/close", json={"outcome": "FILED", "text": "x"}, headers=ANN
    )
    assert (early.status_code, "assign it first" in early.text) == (409, True)
    taken = await done(at.http, case["id"], "assign", {})
    assert (taken["state"], taken["assignee"]) == ("ASSIGNED", actor("review-ann"))
    escalated = await done(at.http, case["id"], "escalate", {"text": "unclear"})
    assert escalated["state"] == "ESCALATED"
    await done(at.http, case["id"], "notes", {"text": "The payer's brother paid."})
    later = await done(at.http, case["id"], "suspect", {"known": False, "text": "taken over"})
    assert later["due_on"] > case["due_on"]

    proposal = await done(at.http, case["id"], "close", {"outcome": "FILED", "text": "filed"})
    approval, name = approval_of(proposal), f"review-{uuid4()}"
    assert (await at.http.post(**approval, headers=ANN)).status_code == 409
    second = signed_in(*SCOPES, name=name)
    assert (await at.http.post(**approval, headers=second)).status_code == 200

    ended = await shown(at.http, case["id"])
    assert (ended["state"], ended["outcome"]) == ("CLOSED", "FILED")
    acts = [one["act"] for one in reversed(ended["entries"])]
    assert acts == [
        "ASSIGNED", "ESCALATED", "NOTED", "SUSPECT_UNKNOWN", "CLOSE_PROPOSED", "CLOSED",
    ]  # fmt: skip
    for verb, body in (("assign", {}), ("notes", {"text": "x"}), ("escalate", {"text": "x"})):
        reply = await at.http.post(f"{PATH}/{case['id']}/{verb}", json=body, headers=ANN)
        assert reply.status_code == 409
    assert case["id"] not in {one["id"] for one in await queue(at.http)}
    assert case["id"] in {one["id"] for one in await queue(at.http, state="CLOSED")}
    records = await published_events(at.stack.brokers, AuditRecorded, actor(name), 2)
    assert {one.action for one in records} == {"CASE_CLOSE_APPROVED", "CASE_CLOSED"}
    assert new_user not in str(records)
    with psycopg.connect(at.database.owner_dsn) as owner:
        again = "update review_case set state = 'OPEN', version = version + 1 where id = %s"
        with pytest.raises(psycopg.Error, match="no way from CLOSED"):
            owner.execute(again, (case["id"],))


async def test_what_has_changed_since_the_proposal_is_not_approved(at, new_user):
    case = await opened_case(at, new_user)
    await done(at.http, case["id"], "assign", {})
    proposal = await done(
        at.http, case["id"], "close", {"outcome": "NOT_SUSPICIOUS", "text": "a gift"}
    )
    await at.publish(opened(new_user, "tx-2"), assessed(new_user, "tx-2"))
    await evidence_of(at.http, case["id"], 2)
    reply = await at.http.post(**approval_of(proposal), headers=BEN)
    assert (reply.status_code, "has changed since the proposal" in reply.text) == (409, True)
    stale = await at.http.post(
        f"{PATH}/{case['id']}/assign", json={}, headers={**BEN, "If-Match": '"1"'}
    )
    assert stale.status_code == 412


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            """update review_case set state = 'CLOSED', outcome = 'FILED', closed_at = now(),
               version = version + 1 where user_id = %s""",
            "approval of a second person",
        ),
        ("update review_case set due_on = due_on + 1 where user_id = %s", "no way from"),
        ("update review_case set user_id = 'other' where user_id = %s", "permission denied"),
        ("update case_entry set text = %s", "permission denied"),
    ],
)
async def test_the_database_refuses_what_one_person_writes(at, new_user, statement, why):
    await opened_case(at, new_user)
    with psycopg.connect(at.database.dsn) as connection, pytest.raises(psycopg.Error, match=why):
        connection.execute(statement, (new_user,))


@pytest.mark.parametrize(
    ("cash", "total"),
    [
        ([(1_000_000, 0, "north")], None),
        ([(1_000_001, 0, "north")], 1_000_001),
        ([(600_000, 0, "north"), (400_000, 1, "south")], None),
        ([(600_000, 0, "north"), (400_001, 1, "south")], 1_000_001),
        ([(600_000, 13.999, "north"), (600_000, 14, "north")], None),
        ([(600_000, 9, "north"), (600_000, 13.999, "south")], 1_200_000),
    ],
    ids=[
        "10,000.00", "10,000.01", "10,000.00 at two branches", "10,000.01 at two branches",
        "either side of midnight", "either side of midnight in UTC",
    ],
)  # fmt: skip
async def test_cash_over_the_limit_of_a_business_day_opens_a_case(at, new_user, cash, total):
    """Fourteen hours after ten in the morning is midnight in New York."""
    events = [
        event
        for number, (amount, hours, branch) in enumerate(cash)
        for event in in_cash(
            new_user, f"tx-{number}", amount, MONDAY + timedelta(hours=hours), branch
        )
    ]
    await at.publish(*events)
    await known(at, new_user, len(cash))
    cases = [one for one in await queue(at.http, kind="CTR") if one["user_id"] == new_user]
    if total is None:
        assert cases == []
        return
    (case,) = cases
    evidence = await evidence_of(at.http, case["id"], len(cash))
    assert sum(one["amount_usd_minor"] for one in evidence) == total
    assert (case["business_day"], case["due_on"]) == ("2024-12-02", "2024-12-17")


async def known(at, user_id, payments):
    """Wait until payments are known whole: their case is in the same transaction."""
    count = """select count(*) from compliance.known_payment
               where user_id = %s and confirmed_at is not null and kyc is not null"""
    for _ in range(10 * FOUND_WITHIN_S):
        with psycopg.connect(at.database.admin_dsn) as admin:
            if admin.execute(count, (user_id,)).fetchone() == (payments,):
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{user_id}: not known")


async def test_cash_of_one_person_that_is_read_at_once_is_added_up(at, new_user):
    events = [in_cash(new_user, f"tx-{number}", 60_000) for number in range(20)]
    await asyncio.gather(*(at.publish(*pair) for pair in events))
    await known(at, new_user, 20)
    (case,) = await cases_of(at.http, new_user, kind="CTR")
    assert case["payments"] == 20


async def test_what_is_not_cash_is_in_no_report_on_cash(at, new_user):
    paid = confirmed(new_user, "tx-1", 5_000_000, instrument="ACCOUNT")
    await at.publish(assessed(new_user, "tx-1", 5_000_000), paid)
    await known(at, new_user, 1)
    assert [one for one in await queue(at.http, kind="CTR") if one["user_id"] == new_user] == []


async def test_cash_that_comes_after_the_report_opens_a_case_that_amends_it(at, new_user):
    early = MONDAY - timedelta(days=7)
    await at.publish(*in_cash(new_user, "tx-1", 1_100_000, early))
    (case,) = await cases_of(at.http, new_user, kind="CTR")
    await done(at.http, case["id"], "assign", {})
    proposal = await done(at.http, case["id"], "close", {"outcome": "FILED", "text": "filed"})
    assert (await at.http.post(**approval_of(proposal), headers=BEN)).status_code == 200
    await at.publish(*in_cash(new_user, "tx-2", 100, early))
    (again,) = await cases_of(at.http, new_user, kind="CTR")
    assert again["amends"] == case["id"]
    draft = await at.http.get(f"{PATH}/{again['id']}/draft", headers=ANN)
    assert texts(draft.text, "TotalCashInReceiveAmountText") == ["11001"]
    assert texts(draft.text, "CorrectsAmendsPriorReportIndicator") == ["Y"]


def texts(document, name):
    root = ET.fromstring(document)  # noqa: S314 - our own
    return [one.text for one in root.iter(f"{{www.fincen.gov/base}}{name}")]


async def test_reports_are_drafted_and_each_look_and_act_is_in_the_trail(at, new_user):
    case, name = await opened_case(at, new_user), f"review-{uuid4()}"
    officer = signed_in(*SCOPES, name=name)
    listed = await at.http.get(f"{REPORTS}/suspicious", params={"limit": 200}, headers=officer)
    assert case["id"] in {one["id"] for one in listed.json()["reports"]}
    body = {"type": "SAR", "caseIds": [case["id"]]}
    reply = await at.http.post(f"{REPORTS}/regulatory", json=body, headers=officer)
    assert reply.status_code == 201, reply.text
    assert texts(reply.json()["document"], "FormTypeCode") == ["SARX"]
    today = datetime.now(UTC).date()
    period = {"type": "SAR", "from": str(today - timedelta(days=1)), "to": str(today)}
    by_day = await at.http.post(f"{REPORTS}/regulatory", json=period, headers=ANN)
    assert case["id"] in by_day.json()["caseIds"]
    await shown(at.http, case["id"], BEN)
    trail = await at.http.get(f"{REPORTS}/audit-trail", params={"caseId": case["id"]}, headers=ANN)
    acts = [(one["by"], one["act"]) for one in trail.json()["entries"]]
    assert acts == [
        (actor(name), "DRAFTED"), (actor("review-ann"), "DRAFTED"), (actor("review-ben"), "READ"),
    ]  # fmt: skip
    records = await published_events(at.stack.brokers, AuditRecorded, actor(name), 2)
    assert [one.action for one in records] == ["OPERATOR_READ", "CASE_DRAFTED"]
    assert records[1].about == case["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "SAR"}, "caseIds"),
        ({"type": "SAR", "from": "2026-01-01"}, "caseIds"),
        ({"type": "SAR", "from": "2026-02-01", "to": "2026-01-01"}, "to"),
        ({"type": "SAR", "from": "2000-01-01", "to": "2000-01-02"}, "from"),
        ({"type": "DOG", "caseIds": [str(uuid4())]}, "type"),
        ({"type": "SAR", "caseIds": [str(uuid4())]}, "caseIds"),
    ],
)
async def test_a_report_without_cases_is_refused_by_its_field(http, body, field):
    reply = await http.post(f"{REPORTS}/regulatory", json=body, headers=ANN)
    assert (reply.status_code, field in reply.text) == (400, True), reply.text


async def test_without_their_scope_cases_and_proposals_are_not_to_be_seen(at, new_user):
    case = await opened_case(at, new_user)
    await done(at.http, case["id"], "assign", {})
    proposal = await done(at.http, case["id"], "close", {"outcome": "FILED", "text": "filed"})
    reads = [PATH, f"{PATH}/{case['id']}", f"{PATH}/{case['id']}/draft"]
    reads += [f"{REPORTS}/suspicious", f"{REPORTS}/audit-trail"]
    for path in reads:
        assert (await at.http.get(path)).status_code == 401
        assert (await at.http.get(path, headers=VIEWER)).status_code == 403, path
    for verb in ("assign", "escalate", "notes", "suspect", "close"):
        for headers, status in ((VIEWER, 403), ({}, 401)):
            reply = await at.http.post(f"{PATH}/{case['id']}/{verb}", json={}, headers=headers)
            assert reply.status_code == status
    assert (await at.http.post(f"{REPORTS}/regulatory", json={}, headers=VIEWER)).status_code == 403
    listed = (await at.http.get("/admin/proposals", headers=VIEWER)).text
    assert proposal["proposal"] not in listed
    assert proposal["proposal"] in (await at.http.get("/admin/proposals", headers=BEN)).text
    one = await at.http.get(f"/admin/proposals/{proposal['proposal']}", headers=VIEWER)
    nothing = await at.http.get(f"/admin/proposals/{uuid4()}", headers=VIEWER)
    assert (one.status_code, nothing.status_code) == (409, 409)
    assert (await at.http.post(**approval_of(proposal), headers=VIEWER)).status_code == 409


async def test_an_operator_sees_and_decides_no_case_about_oneself(at):
    own = f"review-own-{uuid4().hex[:6]}"
    case = await opened_case(at, own)
    self = signed_in(*SCOPES, name=own.upper())
    listed = await at.http.get(PATH, params={"limit": 200}, headers=self)
    assert case["id"] not in listed.text
    for path in (f"{PATH}/{case['id']}", f"{PATH}/{case['id']}/draft"):
        unknown = await at.http.get(path.replace(case["id"], str(UUID(int=9))), headers=self)
        reply = await at.http.get(path, headers=self)
        assert reply.status_code == unknown.status_code == 409
        assert reply.text == unknown.text.replace(str(UUID(int=9)), case["id"])
    assert (
        await at.http.post(f"{PATH}/{case['id']}/assign", json={}, headers=self)
    ).status_code == 409
    trail = await at.http.get(f"{REPORTS}/audit-trail", headers=self)
    assert case["id"] not in trail.text
    await done(at.http, case["id"], "assign", {})
    proposal = await done(at.http, case["id"], "close", {"outcome": "FILED", "text": "filed"})
    assert (await at.http.post(**approval_of(proposal), headers=self)).status_code == 409
