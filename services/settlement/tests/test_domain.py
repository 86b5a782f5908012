"""What becomes of an instruction: the table of states and answers, and what holds for any run."""

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
        pytest.param("payee-xyz", "first-bank", id="everyone else is at the default bank"),
        pytest.param("my-north-77", "first-bank", id="only the beginning counts"),
    ],
)
def test_the_payees_account_says_which_bank_keeps_it(account, partner):
    assert partner_of(account, ROUTES, "first-bank") == partner


def test_a_request_becomes_an_instruction_that_is_due_at_once():
    made = instruct(requested(), "first-bank", NOW)
    assert (made.status, made.next_step, made.due_at) == (Status.QUEUED, SEND, NOW)
    assert (made.version, made.tries) == (1, 0)
    assert made.money.major() == "5200.00"


def test_whoever_begins_to_send_leaves_an_enquiry_behind():
    begun = begin(instruction(), NOW)
    assert (begun.status, begun.next_step, begun.version) == (Status.SENDING, ENQUIRE, 2)
    assert begun.sent_at == NOW


def test_a_second_sending_from_doubt_stays_in_doubt_and_tells_nobody():
    doubtful = instruction(status=Status.UNKNOWN, next_step=SEND)
    begun = begin(doubtful, NOW)
    assert (begun.status, begun.next_step, begun.version) == (Status.UNKNOWN, ENQUIRE, 3)


def test_an_enquiry_begins_without_a_trace():
    lost = instruction(status=Status.SENDING)
    assert begin(lost, NOW) is lost


# (before, answer) → (status, next step, seconds until due or None, what is told)
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
def test_every_answer_in_every_state_has_one_outcome(row):
    status, kind, next_status, step, due_s, told = row
    decision = after_answer(instruction(status=status), BankResponse(kind), NOW, POLICY)
    after = decision.state
    assert (after.status, after.next_step) == (next_status, step)
    assert after.due_at == (None if due_s is None else later(due_s))
    assert [event.status for event in decision.events] == ([told] if told else [])
    assert all(event.version == after.version for event in decision.events)


def test_transfers_that_are_sent_again_go_into_ever_smaller_messages():
    first = [instruction(number) for number in range(1, 6)]
    again = [
        instruction(number, status=Status.UNKNOWN, tries=tries)
        for number, tries in enumerate([5, 5, 5, 5, 30], start=6)
    ]

    assert messages_of([*first, *again]) == [first, again[:3], again[3:4], again[4:]]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("status", sorted(FINAL))
def test_no_answer_moves_an_outcome(status, kind):
    before = instruction(status=status)
    decision = after_answer(before, BankResponse(kind), NOW, POLICY)
    assert decision.state is before
    assert not decision.events


@pytest.mark.parametrize(
    ("status", "kind", "is_late"),
    [
        pytest.param(Status.SETTLED, Kind.REJECTED, True, id="rejected after settled"),
        pytest.param(Status.REJECTED, Kind.ACCEPTED, True, id="accepted after rejected"),
        pytest.param(Status.SETTLED, Kind.ACCEPTED, False, id="a repeat"),
        pytest.param(Status.SETTLED, Kind.PENDING, False, id="nothing definite"),
    ],
)
def test_only_a_definite_answer_that_contradicts_an_outcome_is_late(status, kind, is_late):
    assert (
        after_answer(instruction(status=status), BankResponse(kind), NOW, POLICY).is_late is is_late
    )


def test_an_outcome_carries_the_banks_reason_and_reference():
    answer = BankResponse(Kind.REJECTED, "account_closed", "B-1")
    (event,) = after_answer(instruction(), answer, NOW, POLICY).events
    assert (event.reason, event.bank_reference) == ("account_closed", "B-1")
    assert (event.uetr, event.amount_minor, event.to_account) == (
        instruction().uetr,
        520_000,
        "payee-xyz",
    )


@pytest.mark.parametrize(("tries", "seconds"), [(1, 1), (2, 2), (5, 16), (6, 30), (1000, 30)])
def test_the_bank_is_asked_ever_more_seldom_up_to_a_bound(tries, seconds):
    assert POLICY.after(tries, NOW) == later(seconds)


def test_a_call_that_never_went_out_is_one_more_try_and_no_new_state():
    after = after_answer(instruction(tries=2), BankResponse(Kind.NOT_ASKED), NOW, POLICY).state
    assert (after.status, after.tries, after.due_at) == (Status.QUEUED, 3, later(4))


@pytest.mark.parametrize("text", ["John Smith", "", "x" * 65, None, 7, "a\n"])
def test_prose_from_a_bank_goes_no_further(text):
    assert bank_code(text) is None


def test_a_banks_code_is_kept():
    assert bank_code("AC04") == "AC04"


ONCE = Policy(is_idempotent=False, in_flight_s=60)


# (before, seconds since it was sent) → (status, what is told)
@pytest.mark.parametrize(
    ("status", "sent_before_s", "next_status", "told"),
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
def test_a_bank_that_books_twice_is_waited_for_and_then_left_to_a_person(
    status, sent_before_s, next_status, told
):
    before = instruction(status=status, sent_at=later(-sent_before_s))
    decision = after_answer(before, BankResponse(Kind.NOT_FOUND), NOW, ONCE)
    assert (decision.state.status, decision.state.next_step) == (next_status, ENQUIRE)
    assert [event.status for event in decision.events] == told
    assert decision.state.due_at == later(1)


def test_silence_alone_leaves_nothing_to_a_person_however_long_it_lasts():
    before = instruction(status=Status.UNKNOWN, sent_at=later(-86_400))
    decision = after_answer(before, BankResponse(Kind.NO_ANSWER), NOW, ONCE)
    assert decision.state.status is Status.UNKNOWN


def test_a_transfer_that_was_not_sent_is_due_for_sending_again():
    after = after_answer(instruction(), BankResponse(Kind.NOT_ASKED), NOW, ONCE).state
    assert (after.next_step, after.sent_at) == (SEND, None)


answers = st.builds(BankResponse, st.sampled_from(Kind))


def run(script: list[BankResponse], policy=POLICY, step_s=0) -> list[tuple[Instruction, list[str]]]:
    """Each state, and what was told of it; so many seconds pass between two answers."""
    steps, state = [(instruction(), [])], instruction()
    for number, answer in enumerate(script):
        decision = after_answer(state, answer, later(number * step_s), policy)
        steps.append((decision.state, [event.status for event in decision.events]))
        state = decision.state
    return steps


@given(st.lists(answers, max_size=30))
def test_versions_grow_and_each_told_status_is_a_new_one(script):
    last_told, last_version = None, 0
    for state, told in run(script):
        assert state.version >= last_version
        last_version = state.version
        for status in told:
            assert status != last_told
            last_told = status


@given(st.lists(answers, max_size=30))
def test_an_outcome_is_for_ever_and_everything_else_stays_due(script):
    outcome = None
    for state, _ in run(script):
        assert (state.due_at is None) == (state.status in FINAL)
        assert outcome in (None, state)
        outcome = state if state.status in FINAL else None


@given(st.lists(answers, max_size=30))
def test_one_transfer_keeps_its_uetr_amount_and_payee(script):
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


@given(st.lists(answers.filter(lambda one: one.kind is not Kind.REJECTED), max_size=30))
def test_only_the_banks_own_word_rejects(script):
    assert all(state.status is not Status.REJECTED for state, _ in run(script))


@given(st.lists(answers, max_size=30), st.integers(min_value=0, max_value=90))
def test_a_bank_that_books_twice_is_sent_to_again_only_after_it_surely_took_nothing(script, step_s):
    states = [state for state, _ in run(script, ONCE, step_s)]
    for answer, (before, after) in zip(script, pairwise(states), strict=True):
        if after.next_step is SEND:
            assert before.next_step is SEND
            assert answer.kind is Kind.NOT_ASKED
            assert after.sent_at is None


@given(st.lists(answers, max_size=30), st.integers(min_value=0, max_value=90))
def test_nothing_is_left_to_a_person_but_what_no_bank_will_answer(script, step_s):
    first_unusable_s = None
    for number, (answer, (state, told)) in enumerate(
        zip(script, run(script, POLICY, step_s)[1:], strict=True)
    ):
        if answer.kind in (Kind.UNCLEAR, Kind.REFUSED):
            first_unusable_s = number * step_s if first_unusable_s is None else first_unusable_s
        if told == ["RECONCILE"]:
            assert first_unusable_s is not None
            assert state.due_at is not None
    for state, told in run(script, ONCE, step_s):
        assert told != ["RECONCILE"] or state.due_at is not None


# What the bank says every 20 s of a transfer that it refuses or garbles for ever → when it is left
# to a person. A refusal of an enquiry counts as one of the message.
@pytest.mark.parametrize("policy", [POLICY, ONCE], ids=["idempotent", "books twice"])
@pytest.mark.parametrize(
    "kinds", [[Kind.REFUSED], [Kind.UNCLEAR], [Kind.REFUSED, Kind.NO_ANSWER, Kind.UNCLEAR]]
)
def test_what_a_bank_refuses_or_garbles_for_ever_is_left_to_a_person_behind_its_window(
    policy, kinds
):
    script = [BankResponse(kinds[number % len(kinds)]) for number in range(7)]
    told = [status for _, events in run(script, policy, 20) for status in events]
    assert told == ["UNKNOWN", "RECONCILE"]
    statuses = [state.status for state, _ in run(script, policy, 20)]
    assert statuses[:4] == [Status.QUEUED, *[Status.UNKNOWN] * 3]
    assert statuses[-1] is Status.RECONCILE


def test_what_is_left_to_a_person_is_sent_no_more():
    refused = [BankResponse(Kind.REFUSED), BankResponse(Kind.NOT_FOUND)] * 4
    last, _ = run([*refused, BankResponse(Kind.NOT_FOUND), BankResponse(Kind.REFUSED)], POLICY, 20)[
        -1
    ]
    assert (last.status, last.next_step) == (Status.RECONCILE, ENQUIRE)


def test_an_unanswered_message_keeps_its_own_window_though_a_later_one_is_refused():
    """The first message was lost on its way at 100 s; it may still land until 160 s."""
    waits = instruction(
        status=Status.UNKNOWN, next_step=SEND, unusable_since=later(0), sent_at=later(100)
    )
    early = after_answer(waits, BankResponse(Kind.REFUSED), later(159), POLICY).state
    assert (early.status, early.sent_at) == (Status.UNKNOWN, later(100))
    late = after_answer(waits, BankResponse(Kind.REFUSED), later(160), POLICY).state
    assert late.status is Status.RECONCILE


@pytest.mark.parametrize("kind", [Kind.ACCEPTED, Kind.REJECTED, Kind.PENDING])
def test_a_bank_that_took_no_message_and_has_the_uetr_means_another_transfer(kind):
    refused = after_answer(instruction(), BankResponse(Kind.REFUSED), NOW, POLICY).state
    assert refused.is_never_taken
    decision = after_answer(refused, BankResponse(kind), later(1), POLICY)
    assert [event.status for event in decision.events] == ["RECONCILE"]
    again = after_answer(decision.state, BankResponse(kind), later(2), POLICY)
    assert (again.state.status, again.events) == (Status.RECONCILE, ())


def test_a_bank_that_may_have_taken_a_message_is_believed_though_it_refused_another():
    lost = after_answer(instruction(), BankResponse(Kind.NO_ANSWER), NOW, POLICY).state
    absent = after_answer(lost, BankResponse(Kind.NOT_FOUND), later(1), POLICY).state
    refused = after_answer(absent, BankResponse(Kind.REFUSED), later(2), POLICY).state
    assert after_answer(refused, BankResponse(Kind.ACCEPTED), later(3), POLICY).state.status is (
        Status.SETTLED
    )
