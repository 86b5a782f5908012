"""Review cases on the whole system: real payments open them, two decide, customers see none."""

import asyncio
import io
import json
import os
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import product
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from PIL import Image
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT
from local_stack.stack import Stack
from payment_schemas.ids import payment_id_of
from payment_schemas.scopes import CUSTOMER_SCOPES
from testbed.accessibility import faults_of_view
from testbed.command import Command
from testbed.desk import Desk
from testbed.edge import CODE, Customer, Edge
from testbed.hostile import HostileServer
from testbed.stack import joined
from testkit.chromium import Chromium, Tab

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
PATH = "/api/v1/compliance"
WITHIN_S = 40
SPEAKING_TO_CUSTOMERS = ("gateway", "webhooks", "notification")
TRACES = re.compile(
    r"review|\bcases?\b|complian|suspicio|regulat|\b(SAR|CTR)\b|E_WATCHED", re.IGNORECASE
)
DELIVERED = {"payment.confirmed", "payment.settled"}
WIDTHS = (360, 1440)


@pytest.fixture(scope="module")
def watched(system: Stack) -> Iterator[Stack]:
    """The system with compliance, its provider's mock and webhooks; without them afterwards."""
    with joined(system, "compliance", "webhooks", "onfido"):
        yield system


@pytest.fixture(scope="module")
async def desk(watched: Stack) -> AsyncIterator[Edge]:
    """The edge of that system, for customers and operators."""
    edge = Edge(watched.description())
    yield edge
    await edge.close()


async def cases_of(desk: Edge, user_id: str, count: int = 1) -> list[dict[str, Any]]:
    """Return a user's undecided cases, once there are as many."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            listed = await desk.admin("compliance", "/reviews", limit=200)
            found = [one for one in listed["reviews"] if one["user_id"] == user_id]
            if len(found) == count:
                return found
            await asyncio.sleep(0.3)


async def paid(desk: Edge, customer: Customer, transaction_id: str, **body: str) -> httpx.Response:
    """Confirm a payment, with the code where one is required."""
    answer = await desk.pay(customer, transaction_id, **body)
    async with asyncio.timeout(WITHIN_S):
        while answer.status_code != 200 and answer.json().get("status") != "DECLINED":
            answer = await desk.pay(customer, transaction_id, otp_code=CODE, **body)
            await asyncio.sleep(0.2)
    return answer


async def watch(desk: Edge, user_id: str) -> None:
    """Make a rule that has all payments of a user reviewed."""
    body = {"jurisdiction": "GLOBAL", "condition": f"user.id == '{user_id}'", "action": "REVIEW"}
    proposed = await desk.operate("PUT", f"{PATH}/rules/E_WATCHED", body)
    assert proposed.status_code == 202, proposed.text
    await desk.approve("compliance", proposed.json())


async def opened_case(desk: Edge, name: str) -> tuple[str, Customer]:
    """Return the case of a customer who has paid over the limit."""
    (customer,) = await desk.open_customers(name, 1, 100_000_00)
    await paid(desk, customer, name, amount="12000.00")
    (case,) = await cases_of(desk, customer.user_id)
    return case["id"], customer


def normal(text: str, customer: Customer, transaction_id: str) -> str:
    """Return a text without what tells one payment from another."""
    known = {
        str(payment_id_of(customer.user_id, transaction_id)): "PAYMENT",
        customer.user_id: "USER",
        customer.account: "ACCOUNT",
        transaction_id: "TRANSACTION",
    }
    for one, word in known.items():
        text = text.replace(one, word)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME", text)
    text = re.sub(r'(reference\\*": ?\\*")[0-9A-Z]{10,}', r"\1REFERENCE", text)
    return re.sub(r'"(risk_score|iat|exp)": ?\d+', r'"\1":0', text)


async def all_that_is_readable(
    desk: Edge, customer: Customer, transaction_id: str
) -> dict[str, str]:
    """Return the replies to every route of the edge that reads, with a token of every scope."""
    token = await desk.token(customer.user_id, " ".join(CUSTOMER_SCOPES))
    headers = {"Authorization": f"Bearer {token}"}
    document = json.loads((CHECKOUT / "docs/openapi.json").read_text())
    found = {}
    for path in (one for one, verbs in document["paths"].items() if "get" in verbs):
        if path == "/ws":
            found[path] = await frames(desk, token, transaction_id)
            continue
        named = path.replace("{transaction_id}", transaction_id)
        named = re.sub(r"\{\w+\}", str(UUID(int=7)), named)
        async with desk.http.stream("GET", named, headers=headers) as reply:
            found[path] = f"{reply.status_code} {await until_settled(reply)}"
    return found


async def frames(desk: Edge, token: str, transaction_id: str) -> str:
    """Return what a WebSocket sends about a settled payment."""
    url = str(desk.http.base_url).replace("http", "ws", 1).rstrip("/") + "/ws"
    protocols = [Subprotocol("countersign.v1"), Subprotocol(f"bearer.{token}")]
    async with (
        asyncio.timeout(WITHIN_S),
        connect(url, subprotocols=protocols, proxy=None) as socket,
    ):
        await socket.send(json.dumps({"subscribe": transaction_id}))
        text = ""
        while "final" not in text:
            frame = json.loads(await socket.recv())
            text += json.dumps({**frame, "id": 0})
        return text


async def until_settled(reply: httpx.Response) -> str:
    """Return a reply; a stream of events up to its end."""
    text = ""
    async with asyncio.timeout(WITHIN_S):
        async for line in reply.aiter_lines():
            text += f"{line}\n" if not line.startswith(("id:", ":")) else ""
    return text


async def records_about(system: Stack, customer: Customer, transaction_id: str) -> list[str]:
    """Return the records about a payment on all topics that lead to customers."""
    reads = load_inventory().reads
    topics = {topic for one in SPEAKING_TO_CUSTOMERS for topic in reads[one]}
    payment_id = str(payment_id_of(customer.user_id, transaction_id))
    arguments = {**system.brokers.arguments, "auto_offset_reset": "earliest"}
    found = []
    async with asyncio.timeout(WITHIN_S), AIOKafkaConsumer(*topics, **arguments) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        left = {part for part, end in ends.items() if end}
        while left:
            for part, batch in (await consumer.getmany(timeout_ms=500)).items():
                texts = [(one.value or b"").decode() for one in batch]
                about = [one for one in texts if payment_id in one or transaction_id in one]
                found += [f"{part.topic} {normal(one, customer, transaction_id)}" for one in about]
            left = {part for part in left if await consumer.position(part) < ends[part]}
    return sorted(found)


async def add_endpoint(desk: Edge, customer: Customer, server: HostileServer) -> None:
    """Have all events of a customer delivered to a server of the test."""
    token = await desk.token(customer.user_id, " ".join(CUSTOMER_SCOPES))
    body = {"url": server.url(f"/good?{customer.user_id}")}
    headers = {"Authorization": f"Bearer {token}"}
    reply = await desk.http.post("/api/v1/webhooks/endpoints", json=body, headers=headers)
    assert reply.status_code == 201, reply.text


async def delivered(server: HostileServer, customer: Customer) -> list[str]:
    """Return the bodies that a customer's endpoint got, once it has all of a settled payment."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            own = [one for one in server.received if one.query == customer.user_id]
            bodies = [one.body.decode() for one in own]
            if {json.loads(one)["type"] for one in bodies} >= DELIVERED:
                return bodies
            await asyncio.sleep(0.2)


def comparable(bodies: list[str], customer: Customer, transaction_id: str) -> dict[str, str]:
    """Return the bodies by type, without what tells one payment or one moment from another."""
    found = {json.loads(one)["type"]: normal(one, customer, transaction_id) for one in bodies}
    # A confirmation says how far the settlement is when it is sent.
    moment = re.compile(r'"(settlement_status|status_sequence)":("\w+"|\d+)')
    found["payment.confirmed"] = moment.sub(r'"\1":""', found["payment.confirmed"])
    return found


async def test_the_person_of_a_case_sees_no_trace_of_it(
    watched: Stack, browser: Chromium, desk: Edge, name: str
):
    """Two customers pay the same; one is watched by a rule, and has a case."""
    suspect, other = await desk.open_customers(name, 2, 10_000_00)
    async with HostileServer() as server:
        for customer in (suspect, other):
            await add_endpoint(desk, customer, server)
        await compare_views(watched, desk, (suspect, other), server)
        await shows_deliveries(watched, browser, f"{name}-{other.account[-1]}", server)


async def shows_deliveries(
    watched: Stack, browser: Chromium, transaction_id: str, server: HostileServer
) -> None:
    """See in the console what was delivered of a payment to its customer's endpoint."""
    url = watched.description().url("ops").replace("127.0.0.1", "localhost")
    async with browser.tab() as page:
        await page.look(width=1280, height=900)
        await sign_in(page, url, "alice")
        person = Desk(page, url)
        await person.open(f"/payments/{transaction_id}")
        # The row of a delivery ends after its request has.
        part = "fetch(document.querySelector('#webhooks [data-part]').dataset.part)"
        ended = f"text.split('state good').length > {len(DELIVERED)}"
        await page.until(f"{part}.then((one) => one.text()).then((text) => {ended})")
        await person.unfold()
        shown = await page.evaluate("document.querySelector('#webhooks').innerText")
        assert all(event in shown for event in DELIVERED)
        assert f"127.0.0.1:{server.port}" in shown
        assert "204" in shown
        assert await person.faults() == {}


async def compare_views(
    watched: Stack, desk: Edge, customers: tuple[Customer, Customer], server: HostileServer
) -> None:
    """Let both pay; compare replies, routes, records and webhooks of the one with the other's."""
    suspect, other = customers
    name = suspect.account.rpartition("-")[0]
    await watch(desk, suspect.user_id)
    seen = {}
    for customer in (suspect, other):
        transaction = f"{name}-{customer.account[-1]}"
        answer = await paid(desk, customer, transaction)
        assert answer.json()["status"] == "SUCCESS", answer.text
        assert (await desk.until(customer, transaction))["settlement_status"] == "SETTLED"
        seen[customer.user_id] = normal(answer.text, customer, transaction)
    (case,) = await cases_of(desk, suspect.user_id)
    assert await cases_of(desk, other.user_id, 0) == []

    assert seen[suspect.user_id] == seen[other.user_id]
    routes, records, webhooks = [], [], []
    for customer in (suspect, other):
        transaction = f"{name}-{customer.account[-1]}"
        replies = await all_that_is_readable(desk, customer, transaction)
        about = await records_about(watched, customer, transaction)
        assert about
        bodies = await delivered(server, customer)
        # The scopes of operators are in identity's description, for everyone the same.
        described = replies.pop("/.well-known/openid-configuration")
        assert case["id"] not in described
        for text in (*replies.values(), *about, *bodies):
            assert case["id"] not in text
            assert not TRACES.search(text), text
        routes.append({path: normal(one, customer, transaction) for path, one in replies.items()})
        records.append(about)
        webhooks.append(comparable(bodies, customer, transaction))
    assert routes[0]["/payment/{transaction_id}"].startswith("200")
    assert "SETTLED" in routes[0]["/payment/{transaction_id}/events"]
    assert routes[0] == routes[1]
    assert records[0] == records[1]
    assert set(webhooks[0]) == DELIVERED
    assert webhooks[0] == webhooks[1]


async def test_a_customers_token_opens_no_route_of_compliance(desk: Edge, name: str):
    case, customer = await opened_case(desk, name)
    token = await desk.token(customer.user_id, " ".join((*CUSTOMER_SCOPES, "reviews.read")))
    headers = {"Authorization": f"Bearer {token}"}
    reads = ["reports/suspicious", f"reports/audit-trail?caseId={case}", "rules", f"check/{case}"]
    for path in reads:
        reply = await desk.http.get(f"{PATH}/{path}", headers=headers)
        unknown = await desk.http.get(f"{PATH}/{path}".replace(case, str(uuid4())), headers=headers)
        assert reply.status_code == 401, path
        assert reply.json() == unknown.json()
        assert customer.user_id not in reply.text
    for path in ("/admin/reviews", f"/admin/reviews/{case}", f"/api/v1/reviews/{case}"):
        assert (await desk.http.get(path, headers=headers)).status_code == 404, path


async def test_cash_at_two_branches_becomes_one_case_and_a_valid_looking_draft(
    desk: Edge, countersign: Command, name: str
):
    (customer,) = await desk.open_customers(name, 1, 100_000_00)
    for number, (amount, branch) in enumerate((("6000.00", "north"), ("4000.01", "south"))):
        body = {"amount": amount, "instrument": "CASH", "branch": branch}
        await paid(desk, customer, f"{name}-{number}", **body)
    (case,) = await cases_of(desk, customer.user_id)
    assert (case["kind"], case["amount_usd_minor"], case["payments"]) == ("CTR", 1_000_001, 2)
    code, document, _ = await countersign("reviews", "draft", case["id"])
    assert code == 0
    root = ET.fromstring(document.encode())  # noqa: S314 - our own
    total = root.find(".//{www.fincen.gov/base}TotalCashInReceiveAmountText")
    assert total is not None
    assert total.text == "10001"


async def test_the_command_shows_and_changes_a_case(desk: Edge, countersign: Command, name: str):
    case, customer = await opened_case(desk, name)
    _, listed = await countersign.json("reviews", "list", "--kind", "SAR")
    assert case in {one["id"] for one in listed["reviews"]}
    code, _, error = await countersign("reviews", "assign", case)
    assert (code, error) == (0, "")
    code, _, error = await countersign("reviews", "note", case, "--note", "called the branch")
    assert (code, error) == (0, "")
    code, shown, _ = await countersign("reviews", "show", case)
    assert code == 0
    assert "called the branch" in shown
    assert customer.user_id in shown
    ending = ("reviews", "close", case, "--outcome", "NOT_SUSPICIOUS", "--note", "a house")
    _, proposed = await countersign.json(*ending)
    code, _, _ = await countersign("approve", proposed["proposal"])
    assert code == 1
    code, _, error = await countersign("approve", proposed["proposal"], by="bob")
    assert (code, error) == (0, "")
    assert case in (await countersign("reviews", "list", "--state", "CLOSED", "--json"))[1]
    code, _, error = await countersign("reviews", "list", by="carol")
    assert code != 0
    assert "reviews.read" in error


async def keep(page: Tab, name: str) -> None:
    """Keep what the window shows, for the documents."""
    if os.environ.get("PICTURES"):
        path = CHECKOUT / "docs/images" / f"{name}.webp"
        path.write_bytes(await page.picture("webp"))


async def sign_in(page: Tab, url: str, operator: str) -> None:
    """Sign in at the development issuer."""
    await page.open(f"{url}/sign-in")
    await page.until("!!document.querySelector('select[name=operator]')")
    await page.evaluate(f"document.querySelector('select[name=operator]').value = '{operator}'")
    await page.follow(selector="button[value=approve]")
    await page.sees("Now")


async def write(person: Desk, verb: str, text: str, outcome: str) -> None:
    """Write why into the form of an act, by the keyboard; the page then shows its outcome."""
    await person.reach(f"form[action$={verb}] [name=text]")
    await person.page.type(text)
    await person.act(f"form[action$={verb}] button")
    await person.page.sees(outcome)


async def faults_of(page: Tab, url: str, paths: Sequence[str]) -> dict[Any, Any]:
    """Return what is wrong with pages, in both schemes, on a phone and on a desk."""
    faults = {}
    for path in paths:
        await page.open(url + path)
        for dark, width in product((False, True), WIDTHS):
            if found := await faults_of_view(page, width=width, dark=dark):
                faults[path, dark, width] = found
    await page.look(width=1280, height=900)
    return faults


async def test_two_people_decide_a_case_in_the_console_by_the_keyboard_alone(
    watched: Stack, browser: Chromium, desk: Edge, name: str
):
    case, customer = await opened_case(desk, name)
    url = watched.description().url("ops").replace("127.0.0.1", "localhost")
    async with browser.tab() as page:
        await sign_in(page, url, "alice")
        alice = Desk(page, url)
        for width in (800, 360, 1280):
            # At 800 px the case's link had a line a letter, and its middle was between two lines.
            await page.look(width=width, height=900)
            await page.open(f"{url}/reviews")
            await page.sees("days left")
            await page.follow(selector=f"a[href='/reviews/{case}']")
            await page.sees("Notes and acts")
        await page.sees(customer.user_id)
        await alice.act("form[action$=assign] button")
        await page.sees("The case is assigned")
        await write(alice, "notes", "The branch knows the seller.", "The branch knows the seller.")
        await alice.choose("form[action$=suspect] [name=known]", "no")
        await write(alice, "suspect", "The payer is not known.", "The deadline follows from it")
        await write(alice, "escalate", "It is the third sale.", "The case is escalated")
        paths = ("/reviews", f"/reviews/{case}", "/reviews?state=CLOSED")
        assert await faults_of(page, url, paths) == {}
        await page.open(f"{url}/reviews/{case}")
        await keep(page, "console-review")
        await alice.choose("form[action$=close] [name=outcome]", "NOT_SUSPICIOUS")
        approval = "A second person has to approve it within a day"
        await write(alice, "close", "The sale of a house.", approval)
        assert not await page.evaluate("!!document.querySelector('form[action$=approve]')")
        draft = f"fetch('/reviews/{case}/draft.xml').then((one) => one.text())"
        assert "SARX" in await page.evaluate(draft)
        evidence = draft.replace("draft.xml", "evidence.json")
        assert customer.user_id in await page.evaluate(evidence)
    async with browser.tab() as page:
        await sign_in(page, url, "bob")
        await page.open(f"{url}/reviews/{case}")
        await Desk(page, url).act("form[action$=approve] button")
        await page.sees("The case is closed: NOT_SUSPICIOUS")
    async with browser.tab() as page:
        await sign_in(page, url, "carol")
        link = "!!document.querySelector('nav a[href=\"/reviews\"]')"
        assert await page.evaluate(link.replace("/reviews", "/payments"))
        assert not await page.evaluate(link)
        text = f"fetch('/reviews/{case}').then((one) => one.text())"
        assert customer.user_id not in await page.evaluate(text)
        assert "reviews.read" in await page.evaluate(text)


def picture() -> bytes:
    """Return a picture that no compression makes small: the provider demands 2 KiB."""
    written = io.BytesIO()
    noise = random.Random(1).randbytes(160 * 160 * 3)  # noqa: S311 - a picture
    Image.frombytes("RGB", (160, 160), noise).save(written, "JPEG")
    return written.getvalue()


async def checked(desk: Edge, user: str) -> None:
    """Take a person through an identity check of which the provider is not sure."""
    token = await desk.initiate(user, "Consider")
    http, headers = desk.http, {"Authorization": f"Bearer {token}"}
    path, document = "/api/v1/kyc", picture()
    for reply in (
        await http.post(f"{path}/upload-document?type=passport", content=document, headers=headers),
        await http.post(f"{path}/verify", json={"zones": {}}, headers=headers),
    ):
        assert reply.status_code in (201, 202), reply.text
    async with asyncio.timeout(WITHIN_S):
        while True:
            if (await desk.admin("compliance", f"/kyc/{user}"))["state"] == "REVIEW":
                return
            await asyncio.sleep(0.2)


async def test_a_person_decides_an_identity_check_in_the_console(
    watched: Stack, browser: Chromium, desk: Edge, countersign: Command, name: str
):
    user = f"usr-{name}"
    await checked(desk, user)
    code, shown = await countersign.json("kyc", "show", user)
    assert (code, shown["state"], shown["identity"]["lastName"]) == (0, "REVIEW", "Consider")
    url = watched.description().url("ops").replace("127.0.0.1", "localhost")
    async with browser.tab() as page:
        await sign_in(page, url, "alice")
        alice, paths = Desk(page, url), ("/identity-checks", f"/identity-checks/{user}")
        assert await faults_of(page, url, paths) == {}
        await page.open(f"{url}/identity-checks")
        await page.follow(selector=f"a[href='/identity-checks/{user}']")
        await page.sees("Anna Maria Consider")
        await keep(page, "console-identity-check")
        link = "document.querySelector('a[download]').href"
        size = f"fetch({link}).then((one) => one.arrayBuffer()).then((one) => one.byteLength)"
        assert await page.evaluate(size) > 2048
        await alice.choose("form[action$=decide] [name=decision]", "VERIFIED")
        await alice.reach("form[action$=decide] [name=reason]")
        await page.type("The passport was seen.")
        await alice.act("form[action$=decide] button")
        await page.sees("The person is verified")
        await page.open(f"{url}/identity-checks?state=VERIFIED&user_id={user}")
        await page.sees("Anna Maria Consider")
    _, listed = await countersign.json("kyc", "list", "--state", "VERIFIED")
    assert user in [one["user_id"] for one in listed["reviews"]]
    late = ("kyc", "decide", user, "REJECTED", "--reason", "too late")
    code, _, error = await countersign(*late)
    assert (code, "nothing waits for a decision" in error) == (1, True)
