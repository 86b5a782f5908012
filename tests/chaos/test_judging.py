"""What the clients' log can show: each kind of lie is found, and the truth passes."""

from dataclasses import replace

import pytest
from chaos_checker import Books, judge
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
BOOKS = Books({"tx-1": ROW}, {"tx-1": [1000]}, {"acc-1": 90_00}, {"p-1"})


def told(status: int, body: str, sent: str = "payment") -> Operation:
    return Operation("tx-1", sent, result_of(status), status, body, "1")


def found(*operations: Operation, books: Books = BOOKS, payment: Payment = PAID) -> set[str]:
    """The first words of what is wrong."""
    wrong = judge([payment], operations, books, OPENING)
    return {sentence.split()[0] for sentence in wrong}


def test_what_is_true_passes():
    pending = told(202, '{"status":"PENDING","transaction_id":"tx-1"}')
    assert found(told(0, "ReadError"), pending, told(200, SUCCESS), told(200, SUCCESS)) == set()


@pytest.mark.parametrize(
    ("operations", "invariant"),
    [
        ([told(200, SUCCESS), told(200, OTHER_SUCCESS)], "I7"),
        ([told(202, "{}")], "I8"),
        ([told(403, DECLINED)], "I1"),
        ([told(200, SUCCESS), told(200, SUCCESS, "other amount")], "I10"),
        ([told(404, "{}"), told(200, SUCCESS)], "an"),
    ],
)
def test_an_answer_that_is_not_so_is_found(operations, invariant):
    assert invariant in found(*operations)


@pytest.mark.parametrize(
    ("books", "invariant"),
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
def test_books_that_do_not_fit_the_answers_are_found(books, invariant):
    assert invariant in found(told(200, SUCCESS), books=books)


def test_an_answer_that_does_not_say_when_to_ask_again_is_found():
    assert "503" in found(replace(told(503, "{}"), retry_after=""), told(200, SUCCESS))


def test_a_blocked_payment_that_goes_through_is_found():
    assert "a" in found(told(200, SUCCESS), payment=replace(PAID, kind="blocked"))


def test_money_that_moved_for_a_refused_payment_is_found():
    refused = replace(BOOKS, payments={"tx-1": ROW | {"settlement_status": "REJECTED"}})
    rejected = replace(PAID, kind="rejected")
    assert "I2" in found(told(200, SUCCESS), books=refused, payment=rejected)
