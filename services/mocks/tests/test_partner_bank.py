import asyncio
import json
import time
from uuid import uuid4

import pytest

from mocks.partner_bank.app import create
from mocks.settings import PartnerBankSettings

SECRETS = {"first-bank": "secret-of-first", "north-bank": "secret-of-north"}
HOLD_S = 0.3


@pytest.fixture
def process(secret_file, tmp_path, clock):
    settings = PartnerBankSettings(
        profile="dev",
        mock_state=tmp_path / "state",
        PARTNER_CREDENTIALS_FILE=secret_file("credentials", json.dumps(SECRETS)),
        fault_hold_s=HOLD_S,
    )
    return create(settings, clock)


@pytest.fixture
async def bank(serve, process):
    async with serve(process) as client:
        client.headers["Authorization"] = "Bearer secret-of-first"
        yield client


def transfer(payee="payee-xyz", **changed):
    return {
        "uetr": str(uuid4()),
        "end_to_end_id": "tx-987",
        "amount": "5200.00",
        "currency": "USD",
        "debtor_account": "acc-1",
        "creditor_account": payee,
        **changed,
    }


async def send(client, asked, partner="first-bank", **headers):
    keyed = {"Idempotency-Key": asked.get("uetr", ""), **headers}
    return await client.post(f"/banks/{partner}/transfers", json=asked, headers=keyed)


async def batch(client, *asked):
    return await client.post("/banks/first-bank/transfers:batch", json={"transfers": asked})


async def look_up(client, asked):
    return await client.get(f"/banks/first-bank/transfers/{asked['uetr']}")


async def statement(client, path="/statement", day="2026-11-20"):
    return (await client.get(path, params={"date": day})).json()["entries"]


async def test_a_transfer_is_accepted_and_booked_and_on_the_statement(bank):
    asked = transfer()
    answer = await send(bank, asked)
    result = answer.json()
    assert answer.status_code == 201
    assert result == {
        "uetr": asked["uetr"],
        "status": "ACCEPTED",
        "reason": None,
        "bank_reference": result["bank_reference"],
    }
    assert (await look_up(bank, asked)).json() == result
    entry = {
        "partner": "first-bank",
        "uetr": asked["uetr"],
        "end_to_end_id": "tx-987",
        "amount": "5200.00",
        "currency": "USD",
        "booked_at": "2026-11-20T23:59:30.000000Z",
        "bank_reference": result["bank_reference"],
    }
    assert await statement(bank) == [entry]
    assert await statement(bank, "/banks/first-bank/statement") == [entry]


async def test_a_repeat_gets_the_same_response_and_moves_no_money(bank, clock):
    asked = transfer()
    first = await send(bank, asked)
    clock.pass_seconds(5)
    assert (await send(bank, asked)).json() == first.json()
    assert (await batch(bank, asked, asked)).json()["results"] == [first.json()] * 2
    assert len(await statement(bank)) == 1


async def test_a_rejected_payees_transfer_has_a_reason_and_moves_no_money(bank):
    asked = transfer("north-payee-rejected")
    result = (await send(bank, asked)).json()
    assert (result["status"], result["reason"]) == ("REJECTED", "account_closed")
    assert (await look_up(bank, asked)).json() == result
    assert await statement(bank) == []


async def test_a_late_payee_is_pending_and_unbooked_for_ten_seconds(bank, clock):
    asked = transfer("payee-late")
    (result,) = (await batch(bank, asked)).json()["results"]
    assert result["status"] == "PENDING"
    clock.pass_seconds(9.9)
    assert (await look_up(bank, asked)).json()["status"] == "PENDING"
    assert await statement(bank) == []
    clock.pass_seconds(0.1)
    assert (await look_up(bank, asked)).json()["status"] == "ACCEPTED"
    assert len(await statement(bank)) == 1


async def test_the_response_for_a_late_payee_comes_with_the_booking(bank, clock):
    asked = transfer("payee-late")
    await batch(bank, asked)
    clock.pass_seconds(9.5)
    begun = time.monotonic()
    sending = asyncio.ensure_future(send(bank, asked))
    await asyncio.sleep(0.2)
    assert not sending.done()
    assert (await look_up(bank, asked)).json()["status"] == "PENDING", "an enquiry responds at once"
    clock.pass_seconds(0.5)
    assert (await sending).json()["status"] == "ACCEPTED"
    assert time.monotonic() - begun >= 0.4


async def test_a_silent_payee_is_booked_at_once_without_a_response(bank):
    asked = transfer("payee-silent")
    begun = time.monotonic()
    assert (await send(bank, asked)).status_code == 504
    assert time.monotonic() - begun >= HOLD_S
    assert (await look_up(bank, asked)).json()["status"] == "ACCEPTED"
    assert len(await statement(bank)) == 1


async def test_late_and_silent_payees_delay_no_other_transfer_of_their_batch(bank):
    payees = ["payee-xyz", "payee-late", "payee-silent", "payee-rejected", "payee-known"]
    begun = time.monotonic()
    answer = await batch(bank, *map(transfer, payees))
    assert time.monotonic() - begun < HOLD_S
    statuses = [result["status"] for result in answer.json()["results"]]
    assert statuses == ["ACCEPTED", "PENDING", "PENDING", "REJECTED", "ACCEPTED"]


async def test_a_query_returns_each_transfer_and_marks_unknown_ones(bank):
    known, unknown = transfer(), transfer()
    await send(bank, known)
    asked = {"uetrs": [unknown["uetr"], known["uetr"]]}
    answer = await bank.post("/banks/first-bank/transfers:query", json=asked)
    statuses = [(one["uetr"], one["status"]) for one in answer.json()["results"]]
    assert statuses == [(unknown["uetr"], "NOT_FOUND"), (known["uetr"], "ACCEPTED")]
    assert (await look_up(bank, unknown)).status_code == 404


@pytest.mark.parametrize("changed", [{"amount": "1.00"}, {"creditor_account": "payee-known"}])
async def test_a_uetr_with_another_transfer_is_refused_and_moves_no_money(bank, changed):
    asked = transfer()
    await send(bank, asked)
    for answer in (await send(bank, {**asked, **changed}), await batch(bank, {**asked, **changed})):
        assert (answer.status_code, answer.json()["error"]) == (422, "UETR reused")
        assert asked["uetr"] in answer.json()["details"]
    assert [entry["amount"] for entry in await statement(bank)] == ["5200.00"]


async def test_trailing_zeros_do_not_change_an_amount(bank):
    asked = transfer(amount="5200")
    await send(bank, asked)
    assert (await send(bank, {**asked, "amount": "5200.00"})).status_code == 201


async def test_banks_are_separate_and_the_root_statement_shows_all(bank):
    asked = transfer()
    await send(bank, asked)
    north = {"Authorization": "Bearer secret-of-north"}
    assert (await send(bank, asked, "north-bank", **north)).status_code == 201
    assert [one["partner"] for one in await statement(bank)] == ["first-bank", "north-bank"]
    assert len(await statement(bank, "/banks/first-bank/statement")) == 1


@pytest.mark.parametrize(
    ("partner", "authorization", "status"),
    [
        pytest.param("first-bank", "", 401, id="none"),
        pytest.param("first-bank", "Bearer secret-of-north", 401, id="another bank's"),
        pytest.param("first-bank", "secret-of-first", 401, id="no scheme"),
        pytest.param("west-bank", "Bearer secret-of-first", 404, id="no such bank"),
    ],
)
async def test_each_bank_requires_its_own_credential(bank, partner, authorization, status):
    headers = {"Authorization": authorization}
    answers = [
        await send(bank, transfer(), partner, **headers),
        await bank.get(f"/banks/{partner}/statement?date=2026-11-20", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [status, status]
    assert await statement(bank) == []


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"uetr": "7"}, "Invalid field: uetr"),
        ({"uetr": "11111111-1111-1111-8111-111111111111"}, "Invalid field: uetr"),
        ({"end_to_end_id": ""}, "Invalid field: end_to_end_id"),
        ({"amount": 5200}, "Invalid field: amount"),
        ({"amount": "0.00"}, "Invalid field: amount"),
        ({"amount": "-1.00"}, "Invalid field: amount"),
        ({"amount": "1.001"}, "Invalid field: amount"),
        ({"amount": "1.000"}, "Invalid field: amount"),
        ({"amount": "0000000000001"}, "Invalid field: amount"),
        ({"amount": "٣"}, "Invalid field: amount"),
        ({"amount": "1e3"}, "Invalid field: amount"),
        ({"amount": "1.00\n"}, "Invalid field: amount"),
        ({"amount": "1234567890123"}, "Invalid field: amount"),
        ({"amount": "1.50", "currency": "JPY"}, "Invalid field: amount"),
        ({"currency": "XXX"}, "Invalid field: currency"),
        ({"debtor_account": "a b"}, "Invalid field: debtor_account"),
        ({"creditor_account": "x" * 65}, "Invalid field: creditor_account"),
        ({"memo": "hello"}, "Unknown field: memo"),
    ],
)
async def test_a_bad_field_is_refused_with_its_name_in_a_single_transfer_and_a_batch(
    bank, changed, error
):
    asked = {**transfer(), **changed}
    answer = await send(bank, asked)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    answer = await batch(bank, transfer(), asked)
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        error.replace("field: ", "field: transfers.1."),
    )
    assert await statement(bank) == []


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", "Missing header: Idempotency-Key"),
        ("abc-123", "Invalid field: Idempotency-Key"),
        ("9a1e6d2c-5b1f-4f0e-8a35-0c7b2d4e6f81", "Invalid field: Idempotency-Key"),
    ],
)
async def test_the_idempotency_key_must_be_the_uetr(bank, key, error):
    answer = await send(bank, transfer(), **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("transfers:batch", {"transfers": []}, "transfers"),
        ("transfers:batch", {"transfers": [transfer() for _ in range(101)]}, "transfers"),
        ("transfers:query", {"uetrs": []}, "uetrs"),
        ("transfers:query", {"uetrs": [str(uuid4()) for _ in range(101)]}, "uetrs"),
        ("transfers:query", {"uetrs": ["7"]}, "uetrs.0"),
    ],
)
async def test_lists_have_one_to_a_hundred_items(bank, path, body, field):
    answer = await bank.post(f"/banks/first-bank/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, f"Invalid field: {field}")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "Missing field: date"),
        ("?date=today", "Invalid field: date"),
        ("?date=20261120", "Invalid field: date"),
        ("?date=2026-02-30", "Invalid field: date"),
        ("?date=9999-12-31", "Invalid field: date"),
    ],
)
async def test_a_statement_requires_a_day(bank, query, error):
    answer = await bank.get(f"/statement{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_lost_answer_has_moved_the_money_and_a_lost_request_has_not(bank):
    await bank.put("/faults", json={"kind": "lose_answer", "rate": 1})
    asked = transfer()
    assert (await send(bank, asked)).status_code == 504
    assert len(await statement(bank)) == 1, "the root statement is spared"
    await bank.delete("/faults")
    await bank.put("/faults", json={"kind": "lose_request", "rate": 1})
    assert (await send(bank, transfer())).status_code == 504
    await bank.delete("/faults")
    assert (await look_up(bank, asked)).json()["status"] == "ACCEPTED"
    assert len(await statement(bank)) == 1


async def switch(client, kind, rate=1.0):
    assert (await client.put("/faults", json={"kind": kind, "rate": rate})).status_code == 200


async def pages(client, limit):
    """All pages of the first bank's statement."""
    found, after = [], {}
    while True:
        query = {"date": "2026-11-20", "limit": limit, **after}
        answer = (await client.get("/banks/first-bank/statement", params=query)).json()
        found.append(answer["entries"])
        if answer["next"] is None:
            return found
        after = {"after": answer["next"]}


async def test_a_statement_has_pages_without_a_gap_or_a_repeat(bank):
    await batch(bank, *[transfer() for _ in range(7)])
    found = await pages(bank, 3)
    assert [len(page) for page in found] == [3, 3, 1]
    assert [one for page in found for one in page] == await statement(bank)


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("limit=0", "Invalid field: limit"),
        ("limit=1001", "Invalid field: limit"),
        ("limit=x", "Invalid field: limit"),
        ("limit=1&after=x", "Invalid field: after"),
        ("limit=1&after=", "Missing field: after"),
    ],
)
async def test_an_invalid_page_is_refused_with_its_parameter(bank, question, error):
    answer = await bank.get(f"/banks/first-bank/statement?date=2026-11-20&{question}")
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_bank_that_is_not_idempotent_moves_money_for_each_repeat(bank):
    await switch(bank, "book_repeats")
    once, twice, rejected = transfer(), transfer(), transfer("payee-rejected")
    await batch(bank, once, twice, rejected)
    await batch(bank, twice, rejected)
    uetrs = [entry["uetr"] for entry in await statement(bank)]
    assert sorted(uetrs) == sorted([once["uetr"], twice["uetr"], twice["uetr"]])
    assert [len(page) for page in await pages(bank, 2)] == [2, 1]
    await bank.delete("/faults")
    await batch(bank, twice)
    assert len(await statement(bank)) == 3


async def test_statement_faults_affect_the_banks_statement_and_not_the_one_for_tests(bank):
    asked = transfer()
    await batch(bank, asked)
    await switch(bank, "wrong_amount_on_statement")
    assert [one["amount"] for one in (await pages(bank, 9))[0]] == ["5200.01"]
    assert [one["amount"] for one in await statement(bank, "/banks/first-bank/statement")] == [
        "5200.01"
    ]
    await switch(bank, "omit_from_statement")
    assert await pages(bank, 9) == [[]]
    assert await statement(bank, "/banks/first-bank/statement") == []
    assert [one["amount"] for one in await statement(bank)] == ["5200.00"]


async def test_a_statement_fault_affects_the_same_transfers_every_time(bank):
    await batch(bank, *[transfer() for _ in range(100)])
    await switch(bank, "omit_from_statement", 0.3)
    (first,) = await pages(bank, 1000)
    assert 50 < len(first) < 90
    assert await pages(bank, 1000) == [first]


@pytest.mark.parametrize(
    ("payee", "result"),
    [("payee-refused", "Unknown account"), ("north-payee-mismatched", "UETR reused")],
)
async def test_a_refused_payee_is_refused_in_a_single_transfer_and_a_batch(bank, payee, result):
    asked = transfer(payee)
    for _ in range(2):
        for answer in (await send(bank, asked), await batch(bank, asked)):
            assert (answer.status_code, answer.json()["error"]) == (422, result)
    is_known = (await look_up(bank, asked)).status_code == 200
    assert is_known is (payee == "north-payee-mismatched")
    amounts = [entry["amount"] for entry in await statement(bank)]
    assert amounts == (["5200.01"] if is_known else [])


async def test_the_status_of_a_garbled_payees_transfer_is_unreadable(bank):
    asked = transfer("payee-garbled")
    first, other = (await batch(bank, asked, transfer())).json()["results"]
    assert (first["status"], other["status"]) == ("?", "ACCEPTED")
    assert (await look_up(bank, asked)).json()["status"] == "?"
    assert len(await statement(bank)) == 2


async def test_a_bank_may_refuse_its_credential_or_large_messages(bank):
    await switch(bank, "refuse_large")
    many = [transfer() for _ in range(11)]
    assert (await batch(bank, *many)).status_code == 413
    assert (await batch(bank, *many[:10])).status_code == 200
    await switch(bank, "refuse_credential")
    assert (await batch(bank, *many[:1])).status_code == 401


async def own_statement(client, day="2026-11-20", limit=None):
    """(uetr, time) of each line, and on which page it stands."""
    query, found, number = {"date": day, "limit": limit or 1000}, [], 0
    while True:
        answer = (await client.get("/banks/first-bank/statement", params=query)).json()
        found += [(one["uetr"], one["booked_at"], number) for one in answer["entries"]]
        if answer["next"] is None:
            return found
        query, number = {**query, "after": answer["next"]}, number + 1


async def test_a_booking_can_be_on_two_pages_or_on_two_days_or_only_on_the_next_day(bank, clock):
    asked = transfer()
    await batch(bank, asked)
    clock.pass_seconds(86_400)
    await switch(bank, "twice_on_statement")
    (first, *_), (second, at, page) = await own_statement(bank)
    assert (first, second, page) == (asked["uetr"], asked["uetr"], 1)
    assert at == "2026-11-20T23:59:30.001000Z"
    await bank.delete("/faults")
    await switch(bank, "again_on_next_statement")
    tomorrow = [(asked["uetr"], "2026-11-21T23:59:30.000000Z", 1)]
    assert len(await own_statement(bank)) == 1
    assert await own_statement(bank, "2026-11-21") == tomorrow
    await bank.delete("/faults")
    await switch(bank, "on_next_statement")
    assert await own_statement(bank) == []
    assert await own_statement(bank, "2026-11-21") == tomorrow
    assert len(await statement(bank)) == 1, "the root statement tells the truth"


async def test_a_statement_can_break_off_after_its_first_page(bank):
    await batch(bank, transfer(), transfer())
    await switch(bank, "statement_breaks_off")
    query = {"date": "2026-11-20", "limit": 1}
    first = await bank.get("/banks/first-bank/statement", params=query)
    query["after"] = first.json()["next"]
    second = await bank.get("/banks/first-bank/statement", params=query)
    assert (first.status_code, second.status_code) == (200, 503)
