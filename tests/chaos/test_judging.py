"""The comparison of the clients' log with stored data: each contradiction is found."""

from dataclasses import replace

import pytest
from chaos_checker import StoredData, judge
from chaos_clients import Payment
from chaos_log import Operation, result_of

from testbed.edge import Customer

OPENING = 100_00
CUSTOMER = Customer("usr-1", "acc-1", "token")
PAID = Payment("tx-1", CUSTOMER, "plain", "once", 10_00, "payee-known")
SUCCESS = '{"status":"SUCCESS","transaction_id":"tx-1","reference":"A"}'
OTHER_SUCCESS = '{"status":"SUCCESS","transaction_id":"tx-1","reference":"B"}'
DECLINED = '{"status":"DECLINED","transaction_id":"tx-1","reason":"timed_out"}'
ROW = {
    "payment_id": "p-1",
    "status": "CONFIRMED",
    "settlement_status": "SETTLED",
    "amount_minor": 1000,
}
BOOKS = StoredData({"tx-1": ROW}, {"tx-1": [1000]}, {"acc-1": 90_00}, {"p-1"})


def response(status: int, body: str, sent: str = "payment") -> Operation:
    return Operation("tx-1", sent, result_of(status), status, body, "1")


def found(*operations: Operation, stored: StoredData = BOOKS, payment: Payment = PAID) -> set[str]:
    """Return the first words of the violations."""
    wrong = judge([payment], operations, stored, OPENING)
    return {sentence.split()[0] for sentence in wrong}


def test_a_correct_log_passes():
    pending = response(202, '{"status":"PENDING","transaction_id":"tx-1"}')
    assert (
        found(response(0, "ReadError"), pending, response(200, SUCCESS), response(200, SUCCESS))
        == set()
    )


@pytest.mark.parametrize(
    ("operations", "invariant"),
    [
        ([response(200, SUCCESS), response(200, OTHER_SUCCESS)], "I7"),
        ([response(202, "{}")], "I8"),
        ([response(403, DECLINED)], "I1"),
        ([response(200, SUCCESS), response(200, SUCCESS, "other amount")], "I10"),
        ([response(404, "{}"), response(200, SUCCESS)], "an"),
    ],
)
def test_a_wrong_response_is_found(operations, invariant):
    assert invariant in found(*operations)


@pytest.mark.parametrize(
    ("stored", "invariant"),
    [
        (replace(BOOKS, payments={}), "I1"),
        (replace(BOOKS, booked_minor={"tx-1": [1000, 1000]}), "I2"),
        (replace(BOOKS, booked_minor={}), "I2"),
        (replace(BOOKS, booked_minor={"tx-1": [1001]}), "I2"),
        (replace(BOOKS, balances={"acc-1": 80_00}), "I3"),
        (replace(BOOKS, payments={"tx-1": ROW | {"amount_minor": 1001}}), "I10"),
        (replace(BOOKS, payments={"tx-1": ROW | {"settlement_status": "SENT"}}), "I2"),
        (replace(BOOKS, screened=set()), "I12"),
    ],
)
def test_stored_data_that_contradict_the_responses_are_found(stored, invariant):
    assert invariant in found(response(200, SUCCESS), stored=stored)


def test_a_response_without_retry_after_is_found():
    assert "503" in found(replace(response(503, "{}"), retry_after=""), response(200, SUCCESS))


def test_a_blocked_payment_that_goes_through_is_found():
    assert "a" in found(response(200, SUCCESS), payment=replace(PAID, kind="blocked"))


def test_money_that_moved_for_a_refused_payment_is_found():
    refused = replace(BOOKS, payments={"tx-1": ROW | {"settlement_status": "REJECTED"}})
    rejected = replace(PAID, kind="rejected")
    assert "I2" in found(response(200, SUCCESS), stored=refused, payment=rejected)
