"""The transfers of a payment, the opening of accounts, and the metric labels of replies."""

import pytest
from confirm_builders import created, payment_in, settled

from confirm.domain.decision import outcome_of
from confirm.domain.ledger import hold, release, settle
from confirm.domain.opening import Opening
from confirm.domain.payment import Status
from payment_schemas.events.confirmation import ConfirmAnswered
from testkit.events import event_of


@pytest.mark.parametrize(
    ("transfer", "debit_account", "credit_account"),
    [
        (hold(created()), "acc-1", "in-flight:USD"),
        (settle(created(), "north-bank"), "in-flight:USD", "clearing:north-bank:USD"),
        (release(created()), "in-flight:USD", "acc-1"),
    ],
)
def test_each_settlement_step_has_its_transfer(transfer, debit_account, credit_account):
    assert (transfer.debit_account, transfer.credit_account) == (debit_account, credit_account)
    assert (transfer.amount_minor, transfer.currency) == (520_000, "USD")
    assert transfer.source_id == created().id


def test_a_single_account_gets_no_number():
    opening = Opening("acc-9", "usr-9", 100, "USD")

    (account,) = opening.accounts()

    assert (account.id, account.owner, account.balance_minor) == ("acc-9", "usr-9", 0)


def test_many_accounts_are_numbered_from_the_first_number():
    opening = Opening("load", "user", 100, "USD", count=2, first=9999)

    names = [(account.id, account.owner) for account in opening.accounts()]

    assert names == [("load-9999", "user-9999"), ("load-10000", "user-10000")]


def test_slices_open_the_same_accounts_as_one_request():
    whole = Opening("load", "user", 100, "USD", count=4)
    slices = [Opening("load", "user", 100, "USD", count=2, first=first) for first in (1, 3)]

    assert whole.accounts() == [account for part in slices for account in part.accounts()]


def test_an_opening_balance_is_a_transfer_from_the_equity_account():
    opening = Opening("acc-9", "usr-9", 100, "USD")

    (transfer,) = opening.transfers(opening.accounts())

    assert (transfer.debit_account, transfer.credit_account) == ("equity:opening:USD", "acc-9")
    assert (transfer.kind, transfer.amount_minor) == ("OPEN", 100)
    assert [transfer] == opening.transfers(opening.accounts())


def test_an_opening_without_a_balance_has_no_transfer():
    opening = Opening("acc-9", "usr-9", 0, "USD")

    assert opening.transfers(opening.accounts()) == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"status": 200}, "success"),
        ({"status": 200, "headers": (("Idempotent-Replayed", "true"),)}, "replayed"),
        ({"status": 401}, "otp_invalid"),
        ({"status": 403, "body": '{"status":"OTP_REQUIRED"}'}, "otp_required"),
        ({"status": 403, "body": '{"status":"DECLINED","reason":"timed_out"}'}, "failed"),
        ({"status": 403, "body": '{"status":"DECLINED","reason":"not_permitted"}'}, "declined"),
        ({"status": 403, "body": '{"error":"Codes locked"}'}, None),
        ({"status": 403, "body": '{"status":"OTP_UNDELIVERABLE"}'}, None),
        ({"status": 409}, None),
        ({"status": 404}, None),
    ],
)
def test_every_deciding_reply_has_a_metric_label(fields, name):
    assert outcome_of(event_of(ConfirmAnswered, **fields)) == name


def test_a_settled_payment_is_posted_to_the_clearing_account_of_its_partner():
    payment = payment_in(Status.CONFIRMED)

    assert settle(payment, settled(payment).partner).credit_account == "clearing:first-bank:USD"
