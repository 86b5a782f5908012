"""From the request to the outcome, with a bank that fails in every way."""

import asyncio

import pytest
from settlement_builders import NOW, instruction, requested

from payment_schemas.events.settlement import SettlementUpdated
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Cause, Due
from settlement.domain import BankResponse, Kind, Policy, Status
from settlement.domain.reconciliation import Proposal, Resolution
from settlement.handlers import on_due_instructions
from settlement.store import New


async def test_an_accepted_transfer_settles_and_is_told_once(world):
    await world.request(requested())
    assert await world.send() == 1
    assert world.told() == [("SETTLED", 3)]
    assert world.bank.booked == {instruction().uetr: 1}
    row = await world.found(instruction())
    assert (row["status"], row["bank_reference"]) == ("SETTLED", f"B-{instruction().uetr.hex[:8]}")


async def test_a_rejected_transfer_is_told_with_its_reason(world):
    await world.request(requested(payee="payee-rejected"))
    await world.send()
    (record,) = world.broker.topics["settlement.updated.v1"]
    event = SettlementUpdated.model_validate_json(record.value)
    assert (event.status, event.reason) == ("REJECTED", "account_closed")
    assert not world.bank.booked


async def test_the_payees_account_chooses_the_bank(world):
    await world.request(requested(1), requested(2, payee="north-1"))
    await world.send(partner="north-bank")
    assert list(world.north.booked) == [instruction(2).uetr]
    assert not world.bank.messages


async def test_sending_is_committed_before_the_bank_is_called(world):
    seen = []

    async def look(batch):
        seen.append((await world.found(instruction()))["status"])
        return {item.cause.id: BankResponse(Kind.ACCEPTED) for item in batch}

    await world.request(requested())
    await world.send(gather=look)
    assert seen == ["SENDING"]


async def test_a_hundred_transfers_are_one_message(world):
    await world.request(*[requested(number) for number in range(1, 121)])
    assert await world.send() == 100
    assert [len(uetrs) for _, uetrs in world.bank.messages] == [100]
    assert await world.send() == 20


async def test_a_late_payee_is_sent_once_told_as_sent_once_and_settles_in_the_end(world):
    await world.request(requested(payee="payee-late"))
    await world.send()
    for _ in range(3):
        await world.later()
        await world.enquire()
    assert world.told() == [("SENT", 3)]
    world.bank.is_late = False
    await world.later()
    await world.enquire()
    assert world.told() == [("SENT", 3), ("SETTLED", 4)]
    assert [kind for kind, _ in world.bank.messages] == ["send", *["enquire"] * 4]


async def test_a_lost_answer_is_in_doubt_and_an_enquiry_settles_it(world):
    world.bank.loses_answers = True
    await world.request(requested())
    await world.send()
    assert world.told() == [("UNKNOWN", 3)]
    world.bank.loses_answers = False
    await world.later()
    await world.enquire()
    assert world.told() == [("UNKNOWN", 3), ("SETTLED", 4)]
    assert world.bank.booked[instruction().uetr] == 1


async def test_a_lost_request_is_not_found_and_sent_again_under_the_same_uetr(world):
    world.bank.loses_requests = True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    await world.later()
    await world.enquire()
    assert (await world.found(instruction()))["status"] == "UNKNOWN"
    await world.send()
    assert world.told() == [("UNKNOWN", 3), ("SETTLED", 4)]
    assert {uetr for _, uetrs in world.bank.messages for uetr in uetrs} == {instruction().uetr}


async def test_a_worker_that_died_while_sending_is_followed_by_an_enquiry(world):
    async def die(_batch):
        raise asyncio.CancelledError

    await world.request(requested())
    with pytest.raises(asyncio.CancelledError):
        await world.send(gather=die)
    await world.later()
    assert await world.send() == 0
    assert await world.enquire() == 1
    await world.send()
    assert [kind for kind, _ in world.bank.messages] == ["enquire", "send"]
    assert world.told() == [("SETTLED", 3)]


async def test_a_bank_that_cannot_be_reached_leaves_everything_as_it_was(world):
    world.bank.is_down = True
    await world.request(requested())
    await world.send()
    row = await world.found(instruction())
    assert (row["status"], row["next_step"], row["tries"]) == ("QUEUED", "SEND", 1)
    assert not world.told()
    world.bank.is_down = False
    await world.later()
    await world.send()
    assert [status for status, _ in world.told()] == ["SETTLED"]


async def test_nothing_is_claimed_while_the_breaker_is_open(world):
    world.bank.is_open = True
    await world.request(requested())
    assert await world.send() == 0
    assert (await world.found(instruction()))["status"] == "QUEUED"


async def requested_with(world, bad):
    payees = [bad if number == 13 else "payee-xyz" for number in range(30)]
    await world.request(*[requested(number, payee) for number, payee in enumerate(payees, start=1)])
    return instruction(14, bad)


async def test_one_refused_transfer_is_found_by_halving_within_one_call(world):
    bad = await requested_with(world, "payee-refused")
    await world.send()
    assert len(world.bank.booked) == 29
    assert max(world.bank.booked.values()) == 1
    row = await world.found(bad)
    assert (row["status"], row["next_step"]) == ("UNKNOWN", "ENQUIRE")
    assert world.told().count(("UNKNOWN", 3)) == 1
    # It is enquired about, sent again alone, and stays: never lost, never in another's way.
    await world.later_within_window()
    await world.enquire()
    await world.send()
    assert (await world.found(bad))["status"] == "UNKNOWN"


@pytest.mark.parametrize("fails_on", [("send",), ("enquire",), ("send", "enquire")])
async def test_one_transfer_on_which_the_bank_fails_holds_up_no_other(world, fails_on):
    world.bank.fails_on = fails_on
    bad = await requested_with(world, "payee-failing")
    for _ in range(10):
        await world.send()
        await world.later()
        await world.enquire()
        await world.later()
    assert len(world.settled() - {str(bad.uetr)}) == 29


async def test_good_halves_follow_bad_ones_so_that_the_breaker_stays_closed(world):
    bad = await requested_with(world, "payee-refused")
    await world.send()
    refused = [bad.uetr in uetrs for _, uetrs in world.bank.messages]
    in_a_row = max(len(run) for run in "".join("x" if one else " " for one in refused).split())
    assert in_a_row <= 2


async def test_halves_that_do_not_fit_into_the_lease_are_sent_later(world, monkeypatch):
    bad = await requested_with(world, "payee-refused")
    send = world.bank.send

    async def slowly(rows):
        world.clock.pass_time(seconds=3.5)
        return await send(rows)

    monkeypatch.setattr(world.bank, "send", slowly)
    await world.send()
    assert len(world.bank.messages) == 2
    row = await world.found(bad)
    assert (row["status"], row["next_step"], row["sent_at"]) == ("QUEUED", "SEND", None)


async def test_a_worker_whose_lease_passed_on_writes_nothing(world):
    async def be_overtaken(batch):
        await world.later()
        assert await world.enquire() == 1
        return {item.cause.id: BankResponse(Kind.REJECTED, "too_late") for item in batch}

    await world.request(requested())
    world.bank.booked[instruction().uetr] = 1
    await world.send(gather=be_overtaken)
    assert world.told() == [("SETTLED", 3)]


async def test_each_step_of_a_row_is_an_event_of_its_own(world):
    world.bank.loses_answers = True
    await world.request(requested(payee="payee-late"))
    await world.send()
    world.bank.loses_answers = False
    await world.later()
    await world.enquire()
    world.bank.is_late = False
    await world.later()
    await world.enquire()
    assert [status for status, _ in world.told()] == ["UNKNOWN", "SENT", "SETTLED"]
    assert len(set(world.event_ids())) == 3


async def test_a_repeated_request_makes_no_second_transfer(world):
    await world.request(requested(), requested())
    await world.request(requested())
    await world.until_settled()
    assert world.bank.booked == {instruction().uetr: 1}
    assert len(world.told()) == 1


async def test_a_request_with_another_payments_uetr_is_refused_by_name(world):
    await world.request(requested(1))
    with pytest.raises(Rejected, match="uetr"):
        await world.request(requested(2, uetr=requested(1).uetr))


async def test_a_late_answer_that_contradicts_the_outcome_is_noted_and_ignored(world, caplog):
    settled = instruction(status=Status.SETTLED)
    due = Due(settled, Cause(settled.payment_id), epoch=1, attempts=1)
    batch = Batch([due], NOW, {settled.payment_id: BankResponse(Kind.REJECTED)})
    async with world.database.transaction() as tx:
        await world.store(tx).add([New(settled)])
        told = await on_due_instructions(batch, world.store(tx), Policy())
    assert [type(emit.event).__name__ for emit in told] == ["AuditRecorded"]
    assert "late_answer" in caplog.text
    assert (await world.found(settled))["status"] == "SETTLED"


ONCE = Policy(is_idempotent=False, in_flight_s=60)


async def pass_window(world):
    """Let the window of what was sent be over, in both worlds."""
    world.clock.pass_time(seconds=61)
    await world.later()


async def test_a_lost_request_to_a_bank_that_books_twice_is_left_to_a_person(world):
    world.policy, world.bank.books_repeats, world.bank.loses_requests = ONCE, True, True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    await world.later_within_window()
    await world.enquire()
    assert world.told() == [("UNKNOWN", 3)]
    await pass_window(world)
    await world.enquire()
    assert world.told() == [("UNKNOWN", 3), ("RECONCILE", 4)]
    await pass_window(world)
    assert await world.send() == 0
    assert await world.enquire() == 1
    assert [kind for kind, _ in world.bank.messages].count("send") == 1
    assert (await world.found(instruction()))["status"] == "RECONCILE"


async def test_a_definite_answer_ends_what_was_left_to_a_person(world):
    world.policy, world.bank.loses_requests = ONCE, True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    await pass_window(world)
    await world.enquire()
    world.bank.booked[instruction().uetr] = 1
    await pass_window(world)
    await world.enquire()
    assert [status for status, _ in world.told()] == ["UNKNOWN", "RECONCILE", "SETTLED"]


async def test_a_worker_that_died_while_sending_never_sends_twice_to_a_bank_that_books_twice(world):
    async def die(batch):
        await world.bank.send([item.row for item in batch])
        raise asyncio.CancelledError

    world.policy, world.bank.books_repeats = ONCE, True
    await world.request(requested())
    with pytest.raises(asyncio.CancelledError):
        await world.send(gather=die)
    await pass_window(world)
    await world.until_settled()
    assert world.bank.booked == {instruction().uetr: 1}
    assert world.told() == [("SETTLED", 3)]


async def test_a_bank_that_turns_out_to_book_twice_is_asked_about_what_it_may_have(world):
    world.bank.books_repeats, world.bank.loses_requests = True, True
    await world.request(requested(1))
    await world.send()
    world.bank.loses_requests = False
    await world.later()
    await world.enquire()
    assert (await world.found(instruction(1)))["next_step"] == "SEND"
    world.policy = ONCE
    await world.request(requested(2))
    assert await world.send() == 2
    assert world.bank.booked == {instruction(2).uetr: 1}
    assert (await world.found(instruction(1)))["status"] == "UNKNOWN"


async def refused_for_ever(world, payee="payee-refused", rounds=8):
    """Let a bank refuse or garble a transfer for some minutes, asked whenever it is due."""
    await world.request(requested(payee=payee))
    for _ in range(rounds):
        await world.send()
        await world.enquire()
        world.clock.pass_time(seconds=20)
        await world.later_within_window()


@pytest.mark.parametrize("payee", ["payee-refused", "payee-garbled"])
async def test_what_a_bank_refuses_for_ever_is_a_case_after_its_window_and_sent_no_more(
    world, payee
):
    await refused_for_ever(world, payee)
    assert [status for status, _ in world.told()] == ["UNKNOWN", "RECONCILE"]
    assert [row["kind"] for row in await world.listed()] == ["OUTCOME_UNKNOWN"]
    sent = [kind for kind, _ in world.bank.messages].count("send")
    await refused_for_ever(world, payee)
    assert [kind for kind, _ in world.bank.messages].count("send") == sent
    # Asked with back-off all the while: the bank heard no more than a few messages a minute.
    assert len(world.bank.messages) <= 24
    assert world.audited() == [("CASE_OPENED", "settlement")]


async def test_what_a_bank_refuses_for_ever_goes_back_to_the_customer_when_two_people_say_so(world):
    await refused_for_ever(world)
    (case,) = await world.listed()
    assert case["details"] == "its bank refuses it, past its in-flight window"
    desk = world.resolutions()
    await desk.resolve(case["id"], Proposal(Resolution.RETURN, "alice", "their clerk"))
    assert [status for status, _ in world.told()] == ["UNKNOWN", "RECONCILE"]
    await desk.resolve(case["id"], Proposal(Resolution.RETURN, "bob", "their clerk"))
    assert [status for status, _ in world.told()] == ["UNKNOWN", "RECONCILE", "REJECTED"]
    assert not world.bank.booked


async def test_a_uetr_that_the_bank_has_for_another_transfer_is_never_settled_by_its_word(world):
    world.bank.others.add(instruction().uetr)
    await world.request(requested())
    await world.send()
    for _ in range(3):
        await world.later_within_window()
        await world.enquire()
    assert [status for status, _ in world.told()] == ["UNKNOWN", "RECONCILE"]
    (case,) = await world.listed()
    assert "another transfer" in case["details"]


async def test_a_bank_that_takes_only_small_messages_settles_all_in_smaller_ones(world):
    world.bank.most_rows = 3
    await world.request(*[requested(number) for number in range(1, 31)])
    for _ in range(40):
        await world.send()
    assert (len(world.bank.booked), max(world.bank.booked.values())) == (30, 1)
    assert {status for status, _ in world.told()} == {"SETTLED"}
