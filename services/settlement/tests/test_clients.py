"""The client of a partner bank: requests, and the interpretation of responses."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from settlement_builders import instruction

from payment_schemas.money import Money
from service_runtime import metrics
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient, HttpResponse
from settlement.clients import HttpPartnerBank, MemoryPartnerBank, responses_of
from settlement.domain import BankResponse, Kind
from settlement.domain.statements import StatementEntry

ONE, TWO = instruction(1), instruction(2)
SENT = frozenset({Kind.ACCEPTED, Kind.REJECTED, Kind.PENDING})


def result(row=ONE, status="ACCEPTED", **fields):
    return {"uetr": str(row.uetr), "status": status, **fields}


def kinds(response, sent=(ONE, TWO)):
    responses = responses_of([row.uetr for row in sent], response, SENT)
    return [responses[row.uetr].kind for row in sent]


def response(*results, status=200):
    return HttpResponse(status, {"results": list(results)})


def test_results_are_matched_by_uetr_and_not_by_order():
    found = kinds(response(result(TWO, "REJECTED"), result(ONE)))
    assert found == [Kind.ACCEPTED, Kind.REJECTED]


@pytest.mark.parametrize(
    "results",
    [
        pytest.param([result(TWO)], id="missing"),
        pytest.param([result(TWO), result(), result()], id="repeated"),
        pytest.param([result(TWO), result(status="NOT_FOUND")], id="no response to a transfer"),
        pytest.param([result(TWO), result(status="MAYBE")], id="unknown status"),
        pytest.param([result(TWO), result(status=None)], id="no status"),
        pytest.param([result(TWO), result(status=["ACCEPTED"])], id="a list as status"),
        pytest.param([result(TWO), {"uetr": "1", "status": "ACCEPTED"}], id="not a uetr"),
        pytest.param([result(TWO), {"uetr": 7, "status": "ACCEPTED"}], id="a number as uetr"),
        pytest.param([result(TWO), {"status": "ACCEPTED"}], id="no uetr"),
        pytest.param([result(TWO), "ACCEPTED"], id="not an object"),
    ],
)
def test_only_the_transfer_without_a_valid_result_is_unclear(results):
    assert kinds(response(*results)) == [Kind.UNCLEAR, Kind.ACCEPTED]


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (HttpResponse(200, []), Kind.NO_ANSWER),
        (HttpResponse(200, {"results": "all"}), Kind.NO_ANSWER),
        (HttpResponse(204, {"results": []}), Kind.NO_ANSWER),
        (HttpResponse(302, {}), Kind.NO_ANSWER),
        (HttpResponse(400, {}), Kind.REFUSED),
        (HttpResponse(413, {}), Kind.REFUSED),
        (HttpResponse(422, {}), Kind.REFUSED),
        (HttpResponse(401, {}), Kind.NOT_ASKED),
        (HttpResponse(404, {}), Kind.NOT_ASKED),
        (HttpResponse(429, {}), Kind.NOT_ASKED),
    ],
)
def test_a_response_without_results_applies_to_every_transfer(found, kind):
    assert kinds(found) == [kind, kind]


def test_reason_and_reference_are_codes_or_none():
    rejected = result(status="REJECTED", reason="Mr Smith is dead", bank_reference="B-1")
    found = responses_of([ONE.uetr], response(rejected), SENT)
    assert found[ONE.uetr] == BankResponse(Kind.REJECTED, None, "B-1")


@asynccontextmanager
async def bank_with(handle: Callable, timeout_s=3.0):
    app = web.Application()
    app.router.add_post("/banks/first-bank/{call}", handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/banks/first-bank"))
        async with HttpClient("test-bank", url, timeout_s, lambda: "s3cret") as client:
            yield HttpPartnerBank(client, "first-bank")


async def test_a_transfer_is_sent_in_the_banks_format():
    seen = []

    async def handle(request):
        seen.append((request.path, request.headers["Authorization"], await request.json()))
        return web.json_response({"results": [result()]})

    async with bank_with(handle) as bank:
        responses = await bank.send([ONE])
        assert not bank.is_open
    assert responses[ONE.uetr].kind is Kind.ACCEPTED
    ((path, authorization, body),) = seen
    assert (path, authorization) == ("/banks/first-bank/transfers:batch", "Bearer s3cret")
    assert body == {
        "transfers": [
            {
                "uetr": str(ONE.uetr),
                "end_to_end_id": "tx-1",
                "amount": "5200.00",
                "currency": "USD",
                "debtor_account": "acc-1",
                "creditor_account": "payee-xyz",
            }
        ]
    }


async def test_an_enquiry_sends_uetrs_and_accepts_not_found():
    seen = []

    async def handle(request):
        seen.append((request.path, await request.json()))
        return web.json_response({"results": [result(status="NOT_FOUND")]})

    async with bank_with(handle) as bank:
        responses = await bank.enquire([ONE])
    assert responses[ONE.uetr].kind is Kind.NOT_FOUND
    assert seen == [("/banks/first-bank/transfers:query", {"uetrs": [str(ONE.uetr)]})]


async def _error(_request):
    return web.Response(status=500)


async def _reset(request):
    request.transport.close()
    return web.Response()


async def _nonsense(_request):
    return web.Response(text="<html>")


@pytest.mark.parametrize(
    ("handle", "kind"),
    [(_error, Kind.FAILED), (_reset, Kind.NO_ANSWER), (_nonsense, Kind.NO_ANSWER)],
)
async def test_a_failure_after_sending_leaves_the_booking_open(handle, kind):
    async with bank_with(handle) as bank:
        responses = await bank.send([ONE])
    assert responses[ONE.uetr].kind is kind


async def test_a_bank_that_does_not_respond_is_a_timeout():
    over = asyncio.Event()

    async def wait(_request):
        await over.wait()
        return web.Response()

    async with bank_with(wait, timeout_s=0.2) as bank:
        responses = await bank.send([ONE])
        over.set()
    assert responses[ONE.uetr].kind is Kind.NO_ANSWER


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_a_bank_that_refuses_access_is_counted_and_paused(status):
    async def refuse(_request):
        return web.json_response({"error": "Unauthorized"}, status=status)

    before = refusals(status)
    async with bank_with(refuse) as bank:
        responses = await bank.send([ONE])
        assert bank.is_open
    assert responses[ONE.uetr].kind is Kind.NOT_ASKED
    assert refusals(status) == before + 1


async def test_a_bank_that_refuses_the_content_of_a_message_is_not_paused():
    async def refuse(_request):
        return web.json_response({"error": "Unknown account"}, status=422)

    async with bank_with(refuse) as bank:
        responses = await bank.send([ONE])
        assert not bank.is_open
    assert responses[ONE.uetr].kind is Kind.REFUSED


def refusals(status):
    labels = f'partner="first-bank",status="{status}"}}'
    lines = metrics.exposition().decode().splitlines()
    counted = [line for line in lines if line.startswith("bank_refusals_total") and labels in line]
    return sum(float(line.split()[-1]) for line in counted)


async def test_an_unreachable_bank_gets_nothing_and_opens_the_breaker_after_five_calls():
    async with HttpClient("gone-bank", "http://127.0.0.1:1", 3.0) as client:
        bank = HttpPartnerBank(client, "first-bank")
        for _ in range(5):
            responses = await bank.send([ONE])
            assert responses[ONE.uetr].kind is Kind.NOT_ASKED
        assert bank.is_open


async def test_the_twin_books_a_uetr_once():
    bank = MemoryPartnerBank()
    await bank.send([ONE, TWO])
    await bank.send([ONE])
    assert bank.booked == {ONE.uetr: 1, TWO.uetr: 1}


async def test_the_twin_can_lose_requests_and_can_be_down():
    bank = MemoryPartnerBank(loses_requests=True)
    assert (await bank.enquire([ONE]))[ONE.uetr].kind is Kind.NO_ANSWER
    bank = MemoryPartnerBank(is_down=True)
    assert (await bank.enquire([ONE]))[ONE.uetr].kind is Kind.NOT_ASKED


def line(**changed):
    return {"uetr": str(ONE.uetr), "amount": "5200.00", "currency": "USD", **changed}


async def read(body, status=200, after=None):
    """Return the page that the client reads, and the query of its request."""
    seen = []

    async def handle(request):
        seen.append(dict(request.query))
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/banks/first-bank/statement", handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/banks/first-bank"))
        async with HttpClient("statement-bank", url) as client:
            page = await HttpPartnerBank(client, "first-bank").statement(date(2026, 3, 2), after)
    return page, seen[0]


async def test_a_statement_is_requested_by_day_and_page():
    page, query = await read({"entries": [line()], "next": "2026-03-02T09:00/7"}, after="a+b/1")
    assert query == {"date": "2026-03-02", "limit": "1000", "after": "a+b/1"}
    assert page.next_cursor == "2026-03-02T09:00/7"
    assert page.entries == [StatementEntry(ONE.uetr, Money(520_000, "USD"))]


@pytest.mark.parametrize(
    "changed",
    [{"amount": "5200.001"}, {"amount": 5200}, {"amount": "1e9"}, {"currency": "XXX"}],
)
async def test_an_entry_with_an_unreadable_amount_is_kept(changed):
    page, _ = await read({"entries": [line(**changed)], "next": None})
    assert page.entries == [StatementEntry(ONE.uetr, None)]


async def test_a_negative_amount_is_a_reversal():
    page, _ = await read({"entries": [line(amount="-5200.00")], "next": None})
    assert page.entries == [StatementEntry(ONE.uetr, Money(520_000, "USD"), is_reversal=True)]


@pytest.mark.parametrize(
    ("booked_at", "reference", "named"),
    [
        ("2026-03-02T09:00:00.5Z", "B-1", True),
        ("2026-03-02T11:00:00.5+02:00", "B-1", True),
        ("2026-03-02T09:00:00.5", "B-1", False),
        ("2026-03-02", "B-1", False),
        ("0001-01-01T00:00:00+02:00", "B-1", False),
        (7, "B-1", False),
        ("2026-03-02T09:00:00.5Z", "Mr Smith's", True),
    ],
)
async def test_a_time_without_a_zone_and_a_free_text_reference_are_dropped(
    booked_at, reference, named
):
    body = line(booked_at=booked_at, bank_reference=reference, memo="Mr Smith")
    page, _ = await read({"entries": [body], "next": None, "pages": 7})
    at = datetime(2026, 3, 2, 9, 0, 0, 500_000, tzinfo=UTC) if named else None
    code = "B-1" if reference == "B-1" else None
    assert page.entries == [StatementEntry(ONE.uetr, Money(520_000, "USD"), False, code, at)]


@pytest.mark.parametrize("other", [{}, line(uetr="x"), "a fee", None, ["x"], {"uetr": 7}])
async def test_an_unreadable_line_hides_no_other_and_always_has_the_same_uetr(other):
    first, _ = await read({"entries": [line(), other], "next": None})
    again, _ = await read({"entries": [other, line()], "next": None})
    assert first.entries[0].uetr == ONE.uetr
    assert first.entries[1] == again.entries[0]
    assert (first.entries[1].money, first.entries[1].uetr == ONE.uetr) == (None, False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ([], 200),
        ({"entries": [], "next": 7}, 200),
        ({"entries": None, "next": None}, 200),
        ({"entries": [{}], "next": None}, 200),
        ({"entries": [line(uetr="x")], "next": None}, 200),
        ({"error": "Unauthorized"}, 401),
    ],
)
async def test_a_malformed_statement_is_unavailable(body, status):
    with pytest.raises(Unavailable, match="statement"):
        await read(body, status)
