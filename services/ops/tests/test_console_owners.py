"""What each page of the console asks of the owners, and what it shows while one is away."""

import asyncio
import html
import re
from dataclasses import asdict
from datetime import timedelta
from typing import ClassVar

import httpx
import pytest

from ops.app import build
from ops.clients.browser_sessions import BrowserSessions
from ops.clients.system import System
from ops.console.pages import SECTIONS
from ops.console.viewers import Session
from ops.domain.errors import UnavailableError
from ops.settings import Settings
from payment_schemas.scopes import SCOPES
from service_runtime.clock import SystemClock
from service_runtime.settings import load

MOST_ROUTES = 6
ID = "0b5c7b0e-5a0e-5d0a-9a63-3f2f5d1c7e11"
AT, DAY = "2026-11-30T08:00:00+00:00", "2026-11-30"
SECRET = "s" * 43
ALL = [
    "confirm",
    "settlement",
    "risk",
    "otp",
    "notification",
    "audit",
    "ops",
    "identity",
    "webhooks",
    "compliance",
    "screening",
    "insight",
    "charges",
    "fraud",
]
PARTY = {
    "party": "creditor", "hit": True, "match_score": 97, "list_name": "sdn", "list_version": "7",
    "entry": "12", "by": ["name"],
}  # fmt: skip
PAYMENT = {
    "payment_id": ID, "transaction_id": "tx-1", "user_id": "usr-1", "state": "CONFIRMED",
    "settlement_status": "PENDING", "amount": "5.00", "currency": "USD", "from_account": "a",
    "to_account": "b", "uetr": ID, "reference": None, "reason": None, "created_at": AT,
    "updated_at": AT, "deadline": AT, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "risk_score": 5, "risk_level": "LOW", "entries": [],
}  # fmt: skip
PARTNER = {
    "partner": "south-bank", "transport": "kafka", "is_open": False, "suspended_at": None,
    "settled": 1, "rejected": 0, "queued": 0, "for_people": 0, "unanswered": 0,
    "over_1_minute": 0, "over_5_minutes": 0, "over_1_hour": 0, "oldest_s": 0, "profile": {},
    "statement_day": None, "replay_until": None,
}  # fmt: skip
CASE = {
    "id": ID, "kind": "OUTCOME_UNKNOWN", "partner": "south-bank", "uetr": ID, "day": DAY,
    "details": "it is unknown", "status": "OPEN", "opened_at": AT, "resolution": None,
    "note": None, "proposed_by": None, "resolved_by": None, "instruction": None, "bookings": [],
}  # fmt: skip
REVIEW = {
    "id": ID, "kind": "SAR", "user_id": "usr-1", "business_day": None, "due_on": DAY,
    "state": "OPEN", "suspect_known": False, "detected_at": AT, "assignee": None,
    "outcome": None, "evidence": [], "entries": [],
}  # fmt: skip
IDENTITY_CHECK = {
    "profileId": "usr-1", "status": "PENDING", "level": "BASIC", "state": "REVIEW",
    "verifiedLevel": None, "verifiedAt": None, "expiresAt": None,
    "identity": {"firstName": "A", "lastName": "B", "dateOfBirth": DAY, "nationality": "UTO"},
    "address": {"street": "S", "city": "C", "postcode": "1", "country": "UTO"}, "documents": [],
}  # fmt: skip
CHARGE = {
    "transactionId": "txn_1", "user_id": "usr-1", "amount_minor": 1, "currency": "USD",
    "status": "CAPTURED", "review": "NONE", "provider": "stripe", "provider_reference": "p",
    "attempt": 1, "tried": [], "code": None, "due_at": None, "parked_at": None,
    "contradicted_at": None, "captured_minor": 1, "refunded_minor": 0, "refunding_minor": 0,
    "disputed_minor": 0, "created_at": AT, "updated_at": AT, "refunds": [], "disputes": [],
    "transfers": [], "choices": [],
}  # fmt: skip
LETTER = {
    "place": "settlement-queue-dlq/0/1", "topic": "settlement-queue", "source": "q/0/1",
    "event_id": ID, "type": "settlement.requested.v1", "consumer": "settlement", "attempts": 1,
    "reason": "invalid", "error_class": "E", "data": {"payment_id": ID}, "time": AT,
}  # fmt: skip
PROPOSAL = {
    "proposal": ID, "act": "DEAD_LETTERS_DISCARD", "about": "1", "proposed_by": "i|bob",
    "proposed_at": AT, "expires_at": AT, "digest": "d", "body": {"letters": [LETTER | {"concerns":
    {"payment_id": ID}}], "reason": "a test"},
}  # fmt: skip
REPLIES = {
    "confirm/admin/payments": {"payments": [PAYMENT]},
    "confirm/admin/payments/search": {"payments": [PAYMENT], "next": None, "searched_to": None},
    "confirm/admin/payments/named": {"payments": [PAYMENT]},
    "confirm/admin/payments/activity": {
        "newest": [], "window_s": 60, "newest_at_most": 9, "in_flight": [], "now": AT,
        "in_flight_at_most": 9,
    },
    "settlement/admin/instructions": {"instructions": [], "cases": []},
    "settlement/admin/instructions/open": {"open": [], "at_most": 9},
    "settlement/admin/cases": {"cases": [CASE]},
    f"settlement/admin/cases/{ID}": CASE,
    "settlement/admin/statements": {"days": [], "counted_to": 9},
    f"settlement/admin/statements/south-bank/{DAY}/cases": {"cases": [CASE], "next": None},
    "settlement/admin/partner-activity": {"partners": [PARTNER]},
    "settlement/.well-known/partner-jwks.json": {"keys": []},
    "identity/.well-known/jwks.json": {"keys": []},
    "risk/admin/assessments": {"assessments": [
        {"factors": [], "sanctions": "hit", "kyc": "verified", "assessed_at": AT,
         "screenings": [PARTY, PARTY | {"party": "debtor"}]},
    ]},
    "screening/admin/lists/sdn/entries/12": {"names": ["A. N. Other"], "programmes": ["X"]},
    "insight/admin/explanations": {"explanations": [{"summary": None}]},
    "otp/admin/challenges": {"challenges": []},
    "notification/admin/deliveries": {"deliveries": []},
    "audit/admin/timeline": {"rows": []},
    "audit/admin/events": {"events": []},
    "webhooks/admin/payment-deliveries": {"deliveries": []},
    "webhooks/admin/endpoints": {"endpoints": [], "next": None},
    "identity/admin/clients": {"clients": [], "next": None},
    "identity/admin/operators": {"operators": [], "next": None},
    "identity/admin/proposals": {"proposals": []},
    "compliance/admin/reviews": {"reviews": [], "next": None},
    f"compliance/admin/reviews/{ID}": REVIEW,
    "compliance/admin/kyc": {"reviews": [], "next": None},
    "compliance/admin/kyc/usr-1": IDENTITY_CHECK,
    "compliance/admin/proposals": {"proposals": []},
    "charges/admin/charges": {"charges": [], "next": None},
    "charges/admin/charges/txn_1": CHARGE,
    "charges/admin/routing": {"arms": [], "breakers_open": {}},
    "charges/admin/reviews": {"reviews": [CHARGE | {"review": "HELD"}], "next": "a"},
    "ops/admin/dead-letters": {"letters": [LETTER], "groups": [], "total": 1},
    "ops/admin/discards": {"discards": [], "next": None},
    "ops/admin/proposals": {"proposals": []},
    f"ops/admin/proposals/{ID}": PROPOSAL,
}  # fmt: skip
ABOUT_ONE = (
    f"/payments/{ID}", "/charges/txn_1", f"/dead-letters/redrive?id={ID}",
    f"/dead-letters/discard?id={ID}", f"/reconciliation/cases/{ID}", f"/reviews/{ID}",
    "/identity-checks/usr-1",
    f"/proposals/ops/{ID}", "/partners/south-bank",
)  # fmt: skip
"""Pages about one thing: without its owner there is nothing to show beside the message."""
OF_MANY = (
    *(section.path for section in SECTIONS), "/payments?partner=south-bank", "/charges/routing",
    "/charges/reviews",
    f"/reconciliation/south-bank/{DAY}", "/access/clients/new",
)  # fmt: skip
OPENED = tuple(
    f"/payments/{ID}/{part}" for part in ("webhooks", "events", "related", "explanation")
)
"""Boxes that ask when a person opens them."""
NEEDS_MORE = {
    "/now/latency", "/now/alerts", "/now/consumers", "/system/topics", "/lab/messages",
    f"/payments/{ID}/related",
}  # fmt: skip
"""Boxes that read Prometheus, Kafka or a mock, which are away here."""
PAGES = (*OF_MANY, *ABOUT_ONE, *OPENED)


class MemoryValues(dict):
    """The values of Redis in memory."""

    def set(self, name, value, *, ex):
        self[name] = value

    def getex(self, name, *, ex):
        return self.get(name)

    def getdel(self, name):
        return self.pop(name, None)


class Owners(System):
    """The owners with prepared replies; it keeps what was asked."""

    asked: ClassVar = []
    away: ClassVar = set()

    def _send(self, name, request):
        path = request.url.path
        self.asked.append((name, path))
        if name in self.away:
            raise UnavailableError(f"{name} cannot be reached", "make up")
        found = REPLIES.get(name + path)
        return httpx.Response(404 if found is None else 200, json=found, request=request)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The routes of ops as it serves them, with an operator's session; no process listens."""
    file = tmp_path_factory.mktemp("ops") / "secret"
    file.write_text("s3cret")
    nowhere = "http://127.0.0.1:1"
    urls = ",".join(f'"{name}":"{nowhere}"' for name in ALL)
    settings = {
        "PROFILE": "dev", "ADMIN_URLS": f"{{{urls}}}", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "INTERNAL_CREDENTIAL_FILE": str(file), "DATABASE_URL": "postgresql://ops@p/countersign",
        "DATABASE_PASSWORD_FILE": str(file), "REDIS_URL": "redis://ops@r/0",
        "IDENTITY_URL": nowhere,
    }  # fmt: skip
    now, values = SystemClock().now(), MemoryValues()
    ends = (now + timedelta(hours=1)).timestamp()
    session = Session("alice", "i", "alice", "t", ends, "", " ".join(SCOPES), "c", now.timestamp())
    BrowserSessions(values, "signed-in").put(SECRET, asdict(session), 60)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr("ops.app.redis_of", lambda *_: values)
        patch.setattr("ops.app.System", Owners)
        return build(load(Settings)).app


@pytest.fixture
def console(built, monkeypatch):
    """The routes of ops, of which nothing was asked yet, and every owner is there."""
    monkeypatch.setattr(Owners, "asked", [])
    monkeypatch.setattr(Owners, "away", set())
    return built


def boxes_of(page: str) -> list[str]:
    """Return the addresses of the boxes that a page loads at once."""
    found = re.findall(r'data-part="([^"]+)"[^>]*aria-busy', page)
    return [html.unescape(one) for one in found]


def opened(console, path):
    """Return by address the replies to a page and its boxes, each with the owners it has asked."""
    return asyncio.run(_opened(console, path))


async def _opened(console, path):
    seen = {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(console), base_url="http://x", cookies={"console": SECRET}
    ) as browser:

        async def look(part):
            before = len(Owners.asked)
            seen[part] = await browser.get(part), Owners.asked[before:]

        await look(path)
        for part in boxes_of(seen[path][0].text):
            await look(part)
    return seen


@pytest.mark.parametrize("path", PAGES)
def test_no_page_asks_more_than_six_routes_of_owners(console, path):
    for part, (reply, asked) in opened(console, path).items():
        assert reply.status_code == 200, (part, reply.text)
        if part not in NEEDS_MORE and all(name + route in REPLIES for name, route in asked):
            assert "Not available" not in reply.text, (part, reply.text)
    admin = [path for _, path in Owners.asked if path.startswith("/admin")]
    assert len(admin) <= MOST_ROUTES, Owners.asked


@pytest.mark.parametrize("path", PAGES)
def test_an_owner_that_is_away_costs_its_own_boxes_alone_a_message(console, path):
    whole = {
        part: [name for name, _ in asked] for part, (_, asked) in opened(console, path).items()
    }
    for owner in {name for asked in whole.values() for name in asked}:
        Owners.away = {owner}
        for part, (reply, _) in opened(console, path).items():
            is_subject = path in ABOUT_ONE and whole[part][0] == owner
            assert reply.status_code == (503 if is_subject else 200), (part, owner, reply.text)
            says = f"{owner} cannot be reached" in reply.text
            assert says is (owner in whole[part]), (part, owner, reply.text)


@pytest.mark.parametrize("path", OF_MANY)
def test_with_every_owner_and_kafka_away_every_page_of_many_is_shown(console, path):
    Owners.away = {*ALL}
    seen = opened(console, path)
    assert {reply.status_code for reply, _ in seen.values()} == {200}


@pytest.mark.parametrize(
    ("path", "part"), [("/now", "/now/consumers"), ("/system", "/system/topics")]
)
def test_without_kafka_the_box_that_reads_it_says_so_and_no_other(console, path, part):
    told = {one for one, (reply, _) in opened(console, path).items() if "Kafka at" in reply.text}
    assert told == {part}


def test_a_hit_of_a_sanctions_list_is_shown_with_the_entrys_name(console):
    ((reply, _),) = opened(console, f"/payments/{ID}/explanation").values()
    for text in ("hit", "sdn", "version 7", "A. N. Other (X)"):
        assert text in reply.text


def sent(console, path, **form):
    """Return the reply to a form of the operator's session."""

    async def send():
        transport = httpx.ASGITransport(console)
        cookies = {"console": SECRET}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://x", cookies=cookies
        ) as browser:
            return await browser.post(path, data={"csrf": "c", **form})

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("act", "form", "status", "back"),
    [
        ("/charges/txn_1/refund", {"from": "/charges/txn_1"}, 409, "/charges/txn_1"),
        ("/charges/txn_1/refund", {}, 409, "/charges"),
        ("/charges/txn_1/refund", {"from": "//evil.example"}, 409, "/charges"),
        ("/charges/txn_1/refund", {"from": "https://evil.example/"}, 409, "/charges"),
        ("/proposals/other/" + ID + "/approve", {}, 409, "/now"),
        ("/dead-letters/redrive", {"from": "/dead-letters/redrive?topic=a"}, 409, "?topic=a"),
        ("/charges/txn_1/refund", {"csrf": "another"}, 403, "/charges"),
        ("/models/m-1/stage", {"stage": "LIVE", "from": "/models"}, 503, "/models"),
    ],
)
def test_a_refused_act_says_what_to_do_and_leads_back(console, act, form, status, back):
    reply = sent(console, act, **form)
    assert reply.status_code == status, reply.text
    link = re.search(r'id="back" href="([^"]+)"', reply.text)
    assert link, reply.text
    assert html.unescape(link[1]).endswith(back)
    assert "evil" not in link[1]
    advice = "look whether it has happened" if status == 503 else "Nothing was changed"
    assert advice in reply.text
    assert 'aria-label="Sections"' in reply.text


def test_a_runbook_is_a_page_for_browsers_with_a_way_back(console):
    async def read():
        transport = httpx.ASGITransport(console)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as browser:
            accept = {"Accept": "text/html,*/*;q=0.8"}
            return await browser.get("/runbooks/WorkParked", headers=accept)

    reply = asyncio.run(read())
    assert reply.status_code == 200
    for text in ("<h1>WorkParked</h1>", "<h2>Look first</h2>", 'href="/now"', "<title>WorkParked"):
        assert text in reply.text


def test_a_form_names_the_page_that_it_is_on(console):
    ((reply, _),) = opened(console, "/charges/txn_1").values()
    assert 'name="from" value="/charges/txn_1"' in reply.text


@pytest.mark.parametrize(
    ("changed", "words", "may_decide"),
    [
        ({"review": "HELD", "status": "AUTHORIZED"}, "waits for a review", True),
        ({"review": "LISTED"}, "to be reviewed", True),
        ({"review": "NONE", "status": "DECLINED"}, "", False),
        ({"review": "APPROVED"}, "approved", False),
        ({}, "", False),
    ],
)
def test_a_card_payment_shows_what_a_person_has_to_decide(
    console, monkeypatch, changed, words, may_decide
):
    monkeypatch.setitem(REPLIES, "charges/admin/charges/txn_1", CHARGE | changed)
    ((reply, _),) = opened(console, "/charges/txn_1").values()
    head = reply.text.partition('class="head"')[2].partition("<strong>")[0]
    assert (words in head) if words else head.count('class="state') == 1
    assert ('action="/charges/txn_1/review"' in reply.text) is may_decide
