"""The pure rules: transfers, funds checks, and the faults of a whole ledger."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_builders import ACCOUNT, INTERNAL, charge, load

from double_entry.rules import Account, Ledger, faults_of, internal_account

RICH = replace(ACCOUNT, balance_minor=100_00)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"amount_minor": 0}, "amount_minor must be positive"),
        ({"amount_minor": -1}, "amount_minor must be positive"),
        ({"account": "sales:EUR"}, "must name two accounts"),
    ],
)
def test_a_transfer_without_an_amount_or_a_second_account_cannot_be_built(broken, message):
    with pytest.raises(ValueError, match=message):
        charge(**broken)


def test_a_funds_check_includes_the_earlier_transfers_of_the_batch():
    ledger = Ledger({"purse-1": RICH}, INTERNAL)
    assert ledger.covers("purse-1", 100_00, "EUR")

    ledger.post(charge(amount_minor=1))

    assert not ledger.covers("purse-1", 100_00, "EUR")
    assert ledger.covers("purse-1", 99_99, "EUR")


@pytest.mark.parametrize(
    "accounts",
    [
        pytest.param({}, id="unknown"),
        pytest.param({"purse-1": replace(RICH, currency="USD")}, id="another currency"),
    ],
)
def test_an_unknown_account_or_currency_covers_nothing(accounts):
    assert not Ledger(accounts).covers("purse-1", 1, "EUR")


def test_an_account_without_a_lower_limit_covers_everything():
    ledger = Ledger({"purse-1": replace(ACCOUNT, minimum_minor=None)})

    assert ledger.covers("purse-1", 10**18, "EUR")


def test_a_transfer_of_an_account_that_is_not_locked_is_refused():
    ledger = Ledger({"purse-1": RICH}, INTERNAL)

    with pytest.raises(ValueError, match="account purse-2 is neither locked nor internal"):
        ledger.post(charge(account="purse-2"))


def test_only_equity_accounts_have_no_lower_limit():
    assert internal_account("equity:cards:EUR", "EUR").minimum_minor is None
    assert internal_account("sales:EUR", "EUR").minimum_minor == 0


def accounts_after(*transfers):
    changes = {"purse-1": 0, "sales:EUR": 0, "equity:cards:EUR": 0}
    for name, delta in (side for transfer in transfers for side in transfer.deltas):
        changes[name] += delta
    return [Account(name, None, "EUR", balance) for name, balance in changes.items()]


@given(amounts=st.lists(st.integers(1, 10**12), min_size=1, max_size=20))
def test_a_ledger_whose_balances_are_its_transfers_has_no_fault(amounts):
    transfers = [load(number, amount) for number, amount in enumerate(amounts)]

    assert list(faults_of(accounts_after(*transfers), transfers)) == []


@pytest.mark.parametrize(
    ("lost", "faults"),
    [
        pytest.param({"purse-1": 1}, ["purse-1: 10001, but", "balances in EUR sum to 1"], id="one"),
        pytest.param(
            {"purse-1": 1, "sales:EUR": -1}, ["purse-1: 10001, but", "sales:EUR: -1, but"], id="two"
        ),
    ],
)
def test_a_balance_that_is_not_its_transfers_is_a_fault(lost, faults):
    accounts = [
        replace(one, balance_minor=one.balance_minor + lost.get(one.id, 0))
        for one in accounts_after(load())
    ]

    found = list(faults_of(accounts, [load()]))

    assert [text[: len(start)] for text, start in zip(found, faults, strict=True)] == faults


def test_a_transfer_without_its_account_is_a_fault():
    accounts = [one for one in accounts_after() if one.id == "purse-1"]

    assert "sales:EUR: a transfer in EUR" in list(faults_of(accounts, [charge()]))
