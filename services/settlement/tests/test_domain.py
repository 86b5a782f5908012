"""Decisions on instructions: the table of states and responses, and properties of any run."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settlement_builders import NOW, instruction, requested

from settlement.domain import (
    FINAL,
    BankResponse,
    Instruction,
    Kind,
    NextStep,
    Policy,
    Status,
    after_answer,
    bank_code,
    begin,
    instruct,
    messages_of,
    partner_of,
)

POLICY = Policy(first_s=1, most_s=30)
ROUTES = {"north-": "north-bank", "south-": "south-bank", "north-sea-": "sea-bank"}

OPEN = [Status.QUEUED, Status.SENDING, Status.SENT, Status.UNKNOWN, Status.RECONCILE]
SEND, ENQUIRE = NextStep.SEND, NextStep.ENQUIRE


def later(seconds: float):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("account", "partner"),
    [
        pytest.param("north-77", "north-bank", id="a prefix names its bank"),
        pytest.param("north-sea-1", "sea-bank", id="the longest prefix wins"),
        pytest.param("payee-xyz", "first-bank", id="any other account is at the default bank"),
        pytest.param("my-north-77", "first-bank", id="only a prefix matches"),
    ],
)
def test_the_payees_account_selects_the_bank(account, partner):
    assert partner_of(account, ROUTES, "first-bank") == partner


def test_a_request_becomes_an_instruction_that_is_due_at_once():
    made = instruct(requested(), "first-bank", NOW)
    assert (made.status, made.next_step, made.due_at) == (Status.QUEUED, SEND, NOW)
    assert (made.version, made.tries) == (1, 0)
    assert made.money.major() == "5200.00"


def test_beginning_to_send_makes_an_enquiry_the_next_step():
    begun = begin(instruction(), NOW)
    assert (begun.status, begun.next_step, begun.version) == (Status.SENDING, ENQUIRE, 2)
    assert begun.sent_at == NOW


def test_a_second_sending_keeps_the_status_unknown_and_the_version():
    doubtful = instruction(status=Status.UNKNOWN, next_step=SEND)
    begun = begin(doubtful, NOW)
    assert (begun.status, begun.next_step, begun.version) == (Status.UNKNOWN, ENQUIRE, 3)


def test_beginning_an_enquiry_changes_nothing():
    lost = instruction(status=Status.SENDING)
    assert begin(lost, NOW) is lost


# (before, response) → (status, next step, seconds until due or None, published status)
TABLE = [
    (Status.QUEUED, Kind.ACCEPTED, Status.SETTLED, ENQUIRE, None, "SETTLED"),
    (Status.QUEUED, Kind.REJECTED, Status.REJECTED, ENQUIRE, None, "REJECTED"),
    (Status.QUEUED, Kind.PENDING, Status.SENT, ENQUIRE, 1, "SENT"),
    (Status.QUEUED, Kind.NO_ANSWER, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.QUEUED, Kind.FAILED, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.QUEUED, Kind.NOT_ASKED, Status.QUEUED, SEND, 1, None),
    (Status.QUEUED, Kind.REFUSED, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.QUEUED, Kind.UNCLEAR, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.SENDING, Kind.ACCEPTED, Status.SETTLED, ENQUIRE, None, "SETTLED"),
    (Status.SENDING, Kind.REJECTED, Status.REJECTED, ENQUIRE, None, "REJECTED"),
    (Status.SENDING, Kind.PENDING, Status.SENT, ENQUIRE, 1, "SENT"),
    (Status.SENDING, Kind.NOT_FOUND, Status.SENDING, SEND, 0, None),
    (Status.SENDING, Kind.NO_ANSWER, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.SENDING, Kind.FAILED, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.SENDING, Kind.NOT_ASKED, Status.SENDING, ENQUIRE, 1, None),
    (Status.SENDING, Kind.REFUSED, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.SENDING, Kind.UNCLEAR, Status.UNKNOWN, ENQUIRE, 1, "UNKNOWN"),
    (Status.SENT, Kind.ACCEPTED, Status.SETTLED, ENQUIRE, None, "SETTLED"),
    (Status.SENT, Kind.REJECTED, Status.REJECTED, ENQUIRE, None, "REJECTED"),
    (Status.SENT, Kind.PENDING, Status.SENT, ENQUIRE, 1, None),
    (Status.SENT, Kind.NOT_FOUND, Status.UNKNOWN, SEND, 0, "UNKNOWN"),
    (Status.SENT, Kind.NO_ANSWER, Status.SENT, ENQUIRE, 1, None),
    (Status.SENT, Kind.FAILED, Status.SENT, ENQUIRE, 1, None),
    (Status.SENT, Kind.NOT_ASKED, Status.SENT, ENQUIRE, 1, None),
    (Status.SENT, Kind.REFUSED, Status.SENT, ENQUIRE, 1, None),
    (Status.SENT, Kind.UNCLEAR, Status.SENT, ENQUIRE, 1, None),
    (Status.UNKNOWN, Kind.ACCEPTED, Status.SETTLED, ENQUIRE, None, "SETTLED"),
    (Status.UNKNOWN, Kind.REJECTED, Status.REJECTED, ENQUIRE, None, "REJECTED"),
    (Status.UNKNOWN, Kind.PENDING, Status.SENT, ENQUIRE, 1, "SENT"),
    (Status.UNKNOWN, Kind.NOT_FOUND, Status.UNKNOWN, SEND, 0, None),
    (Status.UNKNOWN, Kind.NO_ANSWER, Status.UNKNOWN, ENQUIRE, 1, None),
    (Status.UNKNOWN, Kind.FAILED, Status.UNKNOWN, ENQUIRE, 1, None),
    (Status.UNKNOWN, Kind.NOT_ASKED, Status.UNKNOWN, ENQUIRE, 1, None),
    (Status.UNKNOWN, Kind.REFUSED, Status.UNKNOWN, ENQUIRE, 1, None),
    (Status.UNKNOWN, Kind.UNCLEAR, Status.UNKNOWN, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.ACCEPTED, Status.SETTLED, ENQUIRE, None, "SETTLED"),
    (Status.RECONCILE, Kind.REJECTED, Status.REJECTED, ENQUIRE, None, "REJECTED"),
    (Status.RECONCILE, Kind.PENDING, Status.RECONCILE, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.NOT_FOUND, Status.RECONCILE, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.NO_ANSWER, Status.RECONCILE, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.FAILED, Status.RECONCILE, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.NOT_ASKED, Status.RECONCILE, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.REFUSED, Status.RECONCILE, ENQUIRE, 1, None),
    (Status.RECONCILE, Kind.UNCLEAR, Status.RECONCILE, ENQUIRE, 1, None),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row[0]} and {row[1]}") for row in TABLE])
def test_every_response_in_every_state_has_one_next_state(row):
    status, kind, next_status, step, due_s, published = row
    decision = after_answer(instruction(status=status), BankResponse(kind), NOW, POLICY)
    after = decision.state
    assert (after.status, after.next_step) == (next_status, step)
    assert after.due_at == (None if due_s is None else later(due_s))
    assert [event.status for event in decision.events] == ([published] if published else [])
    assert all(event.version == after.version for event in decision.events)


def test_each_retry_of_a_transfer_halves_its_message_size():
    first = [instruction(number) for number in range(1, 6)]
    again = [
        instruction(number, status=Status.UNKNOWN, tries=tries)
        for number, tries in enumerate([5, 5, 5, 5, 30], start=6)
    ]

    assert messages_of([*first, *again]) == [first, again[:3], again[3:4], again[4:]]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("status", sorted(FINAL))
def test_no_response_changes_an_outcome(status, kind):
    before = instruction(status=status)
    decision = after_answer(before, BankResponse(kind), NOW, POLICY)
    assert decision.state is before
    assert not decision.events


@pytest.mark.parametrize(
    ("status", "kind", "is_late"),
    [
        pytest.param(Status.SETTLED, Kind.REJECTED, True, id="rejected after settled"),
        pytest.param(Status.REJECTED, Kind.ACCEPTED, True, id="accepted after rejected"),
        pytest.param(Status.SETTLED, Kind.ACCEPTED, False, id="the same outcome again"),
        pytest.param(Status.SETTLED, Kind.PENDING, False, id="no outcome"),
    ],
)
def test_only_a_definite_response_that_contradicts_an_outcome_is_late(status, kind, is_late):
    assert (
        after_answer(instruction(status=status), BankResponse(kind), NOW, POLICY).is_late is is_late
    )


def test_an_outcome_has_the_banks_reason_and_reference():
    response = BankResponse(Kind.REJECTED, "account_closed", "B-1")
    (event,) = after_answer(instruction(), response, NOW, POLICY).events
    assert (event.reason, event.bank_reference) == ("account_closed", "B-1")
    assert (event.uetr, event.amount_minor, event.to_account) == (
        instruction().uetr,
        520_000,
        "payee-xyz",
    )


@pytest.mark.parametrize(("tries", "seconds"), [(1, 1), (2, 2), (5, 16), (6, 30), (1000, 30)])
def test_the_wait_between_enquiries_doubles_up_to_a_maximum(tries, seconds):
    assert POLICY.after(tries, NOW) == later(seconds)


def test_a_call_that_was_not_sent_adds_a_try_and_keeps_the_status():
    after = after_answer(instruction(tries=2), BankResponse(Kind.NOT_ASKED), NOW, POLICY).state
    assert (after.status, after.tries, after.due_at) == (Status.QUEUED, 3, later(4))


@pytest.mark.parametrize("text", ["John Smith", "", "x" * 65, None, 7, "a\n"])
def test_free_text_from_a_bank_is_dropped(text):
    assert bank_code(text) is None


def test_a_code_from_a_bank_is_kept():
    assert bank_code("AC04") == "AC04"


ONCE = Policy(is_idempotent=False, in_flight_s=60)


# (before, seconds since it was sent) → (status, published statuses)
@pytest.mark.parametrize(
    ("status", "sent_before_s", "next_status", "published"),
    [
        (Status.SENDING, 59, Status.UNKNOWN, ["UNKNOWN"]),
        (Status.SENDING, 60, Status.RECONCILE, ["RECONCILE"]),
        (Status.SENT, 59, Status.UNKNOWN, ["UNKNOWN"]),
        (Status.SENT, 60, Status.RECONCILE, ["RECONCILE"]),
        (Status.UNKNOWN, 59, Status.UNKNOWN, []),
        (Status.UNKNOWN, 60, Status.RECONCILE, ["RECONCILE"]),
        (Status.RECONCILE, 3600, Status.RECONCILE, []),
    ],
)
def test_not_found_at_a_bank_that_is_not_idempotent_needs_a_person_after_the_window(
    status, sent_before_s, next_status, published
):
    before = instruction(status=status, sent_at=later(-sent_before_s))
    decision = after_answer(before, BankResponse(Kind.NOT_FOUND), NOW, ONCE)
    assert (decision.state.status, decision.state.next_step) == (next_status, ENQUIRE)
    assert [event.status for event in decision.events] == published
    assert decision.state.due_at == later(1)


def test_missing_responses_alone_never_need_a_person():
    before = instruction(status=Status.UNKNOWN, sent_at=later(-86_400))
    decision = after_answer(before, BankResponse(Kind.NO_ANSWER), NOW, ONCE)
    assert decision.state.status is Status.UNKNOWN


def test_a_transfer_that_was_not_sent_is_due_for_sending_again():
    after = after_answer(instruction(), BankResponse(Kind.NOT_ASKED), NOW, ONCE).state
    assert (after.next_step, after.sent_at) == (SEND, None)


responses = st.builds(BankResponse, st.sampled_from(Kind))


def run(script: list[BankResponse], policy=POLICY, step_s=0) -> list[tuple[Instruction, list[str]]]:
    """Return each state with its published statuses; `step_s` passes between two responses."""
    steps, state = [(instruction(), [])], instruction()
    for number, response in enumerate(script):
        decision = after_answer(state, response, later(number * step_s), policy)
        steps.append((decision.state, [event.status for event in decision.events]))
        state = decision.state
    return steps


@given(st.lists(responses, max_size=30))
def test_versions_grow_and_each_published_status_differs_from_the_last(script):
    last_published, last_version = None, 0
    for state, published in run(script):
        assert state.version >= last_version
        last_version = state.version
        for status in published:
            assert status != last_published
            last_published = status


@given(st.lists(responses, max_size=30))
def test_an_outcome_never_changes_and_every_other_state_stays_due(script):
    outcome = None
    for state, _ in run(script):
        assert (state.due_at is None) == (state.status in FINAL)
        assert outcome in (None, state)
        outcome = state if state.status in FINAL else None


@given(st.lists(responses, max_size=30))
def test_a_transfer_keeps_its_uetr_amount_and_payee(script):
    first = instruction()
    for state, _ in run(script):
        assert replace(
            first,
            status=state.status,
            next_step=state.next_step,
            due_at=state.due_at,
            tries=state.tries,
            version=state.version,
            sent_at=state.sent_at,
            unusable_since=state.unusable_since,
        ) == replace(state, reason=None, bank_reference=None)


@given(st.lists(responses.filter(lambda response: response.kind is not Kind.REJECTED), max_size=30))
def test_only_a_rejection_by_the_bank_rejects(script):
    assert all(state.status is not Status.REJECTED for state, _ in run(script))


@given(st.lists(responses, max_size=30), st.integers(min_value=0, max_value=90))
def test_a_bank_that_is_not_idempotent_gets_no_transfer_twice(script, step_s):
    states = [state for state, _ in run(script, ONCE, step_s)]
    for response, (before, after) in zip(script, pairwise(states), strict=True):
        if after.next_step is SEND:
            assert before.next_step is SEND
            assert response.kind is Kind.NOT_ASKED
            assert after.sent_at is None


@given(st.lists(responses, max_size=30), st.integers(min_value=0, max_value=90))
def test_only_a_transfer_without_a_usable_response_needs_a_person(script, step_s):
    first_unusable_s = None
    for number, (response, (state, published)) in enumerate(
        zip(script, run(script, POLICY, step_s)[1:], strict=True)
    ):
        if response.kind in (Kind.UNCLEAR, Kind.REFUSED):
            first_unusable_s = number * step_s if first_unusable_s is None else first_unusable_s
        if published == ["RECONCILE"]:
            assert first_unusable_s is not None
            assert state.due_at is not None
    for state, published in run(script, ONCE, step_s):
        assert published != ["RECONCILE"] or state.due_at is not None


# The bank's responses, one every 20 s, for a transfer that it always refuses or garbles.
@pytest.mark.parametrize("policy", [POLICY, ONCE], ids=["idempotent", "not idempotent"])
@pytest.mark.parametrize(
    "kinds", [[Kind.REFUSED], [Kind.UNCLEAR], [Kind.REFUSED, Kind.NO_ANSWER, Kind.UNCLEAR]]
)
def test_a_transfer_that_is_always_refused_or_garbled_needs_a_person_after_the_window(
    policy, kinds
):
    script = [BankResponse(kinds[number % len(kinds)]) for number in range(7)]
    published = [status for _, events in run(script, policy, 20) for status in events]
    assert published == ["UNKNOWN", "RECONCILE"]
    statuses = [state.status for state, _ in run(script, policy, 20)]
    assert statuses[:4] == [Status.QUEUED, *[Status.UNKNOWN] * 3]
    assert statuses[-1] is Status.RECONCILE


def test_a_transfer_that_needs_a_person_is_not_sent_again():
    refused = [BankResponse(Kind.REFUSED), BankResponse(Kind.NOT_FOUND)] * 4
    last, _ = run([*refused, BankResponse(Kind.NOT_FOUND), BankResponse(Kind.REFUSED)], POLICY, 20)[
        -1
    ]
    assert (last.status, last.next_step) == (Status.RECONCILE, ENQUIRE)


def test_a_message_without_a_response_keeps_its_window_if_a_later_one_is_refused():
    """The first message was lost at 100 s; it may still arrive until 160 s."""
    unknown = instruction(
        status=Status.UNKNOWN, next_step=SEND, unusable_since=later(0), sent_at=later(100)
    )
    early = after_answer(unknown, BankResponse(Kind.REFUSED), later(159), POLICY).state
    assert (early.status, early.sent_at) == (Status.UNKNOWN, later(100))
    late = after_answer(unknown, BankResponse(Kind.REFUSED), later(160), POLICY).state
    assert late.status is Status.RECONCILE


@pytest.mark.parametrize("kind", [Kind.ACCEPTED, Kind.REJECTED, Kind.PENDING])
def test_a_bank_that_refused_every_message_and_has_the_uetr_has_another_transfer(kind):
    refused = after_answer(instruction(), BankResponse(Kind.REFUSED), NOW, POLICY).state
    assert refused.is_always_refused
    decision = after_answer(refused, BankResponse(kind), later(1), POLICY)
    assert [event.status for event in decision.events] == ["RECONCILE"]
    again = after_answer(decision.state, BankResponse(kind), later(2), POLICY)
    assert (again.state.status, again.events) == (Status.RECONCILE, ())


def test_a_response_counts_if_the_bank_may_have_accepted_an_earlier_message():
    lost = after_answer(instruction(), BankResponse(Kind.NO_ANSWER), NOW, POLICY).state
    absent = after_answer(lost, BankResponse(Kind.NOT_FOUND), later(1), POLICY).state
    refused = after_answer(absent, BankResponse(Kind.REFUSED), later(2), POLICY).state
    assert after_answer(refused, BankResponse(Kind.ACCEPTED), later(3), POLICY).state.status is (
        Status.SETTLED
    )
