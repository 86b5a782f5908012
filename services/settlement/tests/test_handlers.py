"""Instructions from the request to the outcome, with all failures of a bank."""

import asyncio

import pytest
from settlement_builders import NOW, instruction, requested
from settlement_world import OUTLET

from payment_schemas.events.settlement import SettlementUpdated
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Cause, Due
from settlement.domain import BankResponse, Kind, NextStep, Policy, Status
from settlement.domain.reconciliation import Proposal, Resolution
from settlement.handlers import Routing, on_due_instructions, on_settlement_requested
from settlement.store import NewInstruction
from testkit.events import received


class Storing:
    """The step of a consumer, without offsets."""

    def __init__(self, world, routing):
        self._world = world
        self._routing = routing

    async def claim(self, _tx, items):
        return items

    async def handle(self, tx, batch):
        store = self._world.store(tx)
        return await on_settlement_requested(batch, store, self._routing, OUTLET)


async def test_an_accepted_transfer_settles_and_is_published_once(world):
    await world.request(requested())
    assert await world.send() == 1
    assert world.published() == [("SETTLED", 3)]
    assert world.bank.booked == {instruction().uetr: 1}
    row = await world.row_of(instruction())
    assert (row["status"], row["bank_reference"]) == ("SETTLED", f"B-{instruction().uetr.hex[:8]}")


async def test_a_rejected_transfer_is_published_with_its_reason(world):
    await world.request(requested(payee="payee-rejected"))
    await world.send()
    (record,) = world.broker.topics["settlement.updated.v1"]
    event = SettlementUpdated.model_validate_json(record.value)
    assert (event.status, event.reason) == ("REJECTED", "account_closed")
    assert not world.bank.booked


async def test_the_payees_account_selects_the_bank(world):
    await world.request(requested(1), requested(2, payee="north-1"))
    await world.send(partner="north-bank")
    assert list(world.north.booked) == [instruction(2).uetr]
    assert not world.bank.messages


async def test_sending_is_committed_before_the_bank_is_called(world):
    seen = []

    async def look(batch):
        seen.append((await world.row_of(instruction()))["status"])
        return {item.cause.id: BankResponse(Kind.ACCEPTED) for item in batch}

    await world.request(requested())
    await world.send(gather=look)
    assert seen == ["SENDING"]


async def test_a_new_transfer_is_sent_without_a_claim_while_its_sender_has_places(world):
    sender = world.worker(NextStep.SEND)
    routing = Routing({}, "first-bank", {"first-bank": sender})
    await sender.work_slice()
    items = [received(requested(number), world.clock.new_id()) for number in range(1, 121)]
    await world.unit.carry_out(Storing(world, routing), items, {})
    statuses = [(await world.row_of(instruction(number)))["status"] for number in (100, 101)]
    assert statuses == ["SENDING", "QUEUED"]

    assert await sender.work_slice() == 100
    assert [len(uetrs) for _, uetrs in world.bank.messages] == [100]
    assert await sender.work_slice() == 20
    assert world.published() == [("SETTLED", 3)] * 120


async def test_a_hundred_transfers_are_one_message(world):
    await world.request(*[requested(number) for number in range(1, 121)])
    assert await world.send() == 100
    assert [len(uetrs) for _, uetrs in world.bank.messages] == [100]
    assert await world.send() == 20


async def test_a_late_payee_is_sent_once_published_as_sent_once_and_settles_later(world):
    await world.request(requested(payee="payee-late"))
    await world.send()
    for _ in range(3):
        await world.later()
        await world.enquire()
    assert world.published() == [("SENT", 3)]
    world.bank.is_late = False
    await world.later()
    await world.enquire()
    assert world.published() == [("SENT", 3), ("SETTLED", 4)]
    assert [kind for kind, _ in world.bank.messages] == ["send", *["enquire"] * 4]


async def test_a_lost_response_is_unknown_and_an_enquiry_settles_it(world):
    world.bank.loses_answers = True
    await world.request(requested())
    await world.send()
    assert world.published() == [("UNKNOWN", 3)]
    world.bank.loses_answers = False
    await world.later()
    await world.enquire()
    assert world.published() == [("UNKNOWN", 3), ("SETTLED", 4)]
    assert world.bank.booked[instruction().uetr] == 1


async def test_a_lost_request_is_not_found_and_sent_again_under_the_same_uetr(world):
    world.bank.loses_requests = True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    await world.later()
    await world.enquire()
    assert (await world.row_of(instruction()))["status"] == "UNKNOWN"
    await world.send()
    assert world.published() == [("UNKNOWN", 3), ("SETTLED", 4)]
    assert {uetr for _, uetrs in world.bank.messages for uetr in uetrs} == {instruction().uetr}


async def test_a_worker_crash_while_sending_is_followed_by_an_enquiry(world):
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
    assert world.published() == [("SETTLED", 3)]


async def test_an_unreachable_bank_leaves_the_instruction_queued(world):
    world.bank.is_down = True
    await world.request(requested())
    await world.send()
    row = await world.row_of(instruction())
    assert (row["status"], row["next_step"], row["tries"]) == ("QUEUED", "SEND", 1)
    assert not world.published()
    world.bank.is_down = False
    await world.later()
    await world.send()
    assert [status for status, _ in world.published()] == ["SETTLED"]


async def test_nothing_is_claimed_while_the_breaker_is_open(world):
    world.bank.is_open = True
    await world.request(requested())
    assert await world.send() == 0
    assert (await world.row_of(instruction()))["status"] == "QUEUED"


async def requested_with(world, bad):
    payees = [bad if number == 13 else "payee-xyz" for number in range(30)]
    await world.request(*[requested(number, payee) for number, payee in enumerate(payees, start=1)])
    return instruction(14, bad)


async def test_halving_within_one_call_isolates_a_refused_transfer(world):
    bad = await requested_with(world, "payee-refused")
    await world.send()
    assert len(world.bank.booked) == 29
    assert max(world.bank.booked.values()) == 1
    row = await world.row_of(bad)
    assert (row["status"], row["next_step"]) == ("UNKNOWN", "ENQUIRE")
    assert world.published().count(("UNKNOWN", 3)) == 1
    # It is enquired about and sent again alone: it is never lost and delays no other transfer.
    await world.later_within_window()
    await world.enquire()
    await world.send()
    assert (await world.row_of(bad))["status"] == "UNKNOWN"


@pytest.mark.parametrize("fails_on", [("send",), ("enquire",), ("send", "enquire")])
async def test_a_transfer_on_which_the_bank_fails_delays_no_other(world, fails_on):
    world.bank.fails_on = fails_on
    bad = await requested_with(world, "payee-failing")
    for _ in range(10):
        await world.send()
        await world.later()
        await world.enquire()
        await world.later()
    assert len(world.settled() - {str(bad.uetr)}) == 29


async def test_accepted_halves_follow_refused_ones_so_that_the_breaker_stays_closed(world):
    bad = await requested_with(world, "payee-refused")
    await world.send()
    refused = [bad.uetr in uetrs for _, uetrs in world.bank.messages]
    runs = "".join("x" if is_refused else " " for is_refused in refused).split()
    assert max(map(len, runs)) <= 2


async def test_halves_that_do_not_fit_into_the_lease_are_sent_later(world, monkeypatch):
    bad = await requested_with(world, "payee-refused")
    send = world.bank.send

    async def slowly(rows):
        world.clock.pass_time(seconds=3.5)
        return await send(rows)

    monkeypatch.setattr(world.bank, "send", slowly)
    await world.send()
    assert len(world.bank.messages) == 2
    row = await world.row_of(bad)
    assert (row["status"], row["next_step"], row["sent_at"]) == ("QUEUED", "SEND", None)


async def test_a_worker_that_lost_its_lease_writes_nothing(world):
    async def lose_the_lease(batch):
        await world.later()
        assert await world.enquire() == 1
        return {item.cause.id: BankResponse(Kind.REJECTED, "too_late") for item in batch}

    await world.request(requested())
    world.bank.booked[instruction().uetr] = 1
    await world.send(gather=lose_the_lease)
    assert world.published() == [("SETTLED", 3)]


async def test_each_step_of_a_row_is_a_separate_event(world):
    world.bank.loses_answers = True
    await world.request(requested(payee="payee-late"))
    await world.send()
    world.bank.loses_answers = False
    await world.later()
    await world.enquire()
    world.bank.is_late = False
    await world.later()
    await world.enquire()
    assert [status for status, _ in world.published()] == ["UNKNOWN", "SENT", "SETTLED"]
    assert len(set(world.event_ids())) == 3


async def test_a_repeated_request_makes_no_second_transfer(world):
    await world.request(requested(), requested())
    await world.request(requested())
    await world.until_settled()
    assert world.bank.booked == {instruction().uetr: 1}
    assert len(world.published()) == 1


async def test_a_request_with_another_payments_uetr_is_rejected(world):
    await world.request(requested(1))
    with pytest.raises(Rejected, match="uetr"):
        await world.request(requested(2, uetr=requested(1).uetr))


async def test_a_late_response_that_contradicts_the_outcome_is_logged_and_ignored(world, caplog):
    settled = instruction(status=Status.SETTLED)
    due = Due(settled, Cause(settled.payment_id), epoch=0, attempts=1)
    batch = Batch([due], NOW, {settled.payment_id: BankResponse(Kind.REJECTED)})
    async with world.database.transaction() as tx:
        await world.store(tx).add([NewInstruction(settled)])
        published = await on_due_instructions(batch, world.store(tx), Policy())
    assert [type(emit.event).__name__ for emit in published] == ["AuditRecorded"]
    assert "late_answer" in caplog.text
    assert (await world.row_of(settled))["status"] == "SETTLED"


ONCE = Policy(is_idempotent=False, in_flight_s=60)


async def pass_window(world):
    """Let the in-flight window end, in both worlds."""
    world.clock.pass_time(seconds=61)
    await world.later()


async def test_a_lost_request_to_a_bank_that_is_not_idempotent_needs_a_person(world):
    world.policy, world.bank.books_repeats, world.bank.loses_requests = ONCE, True, True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    await world.later_within_window()
    await world.enquire()
    assert world.published() == [("UNKNOWN", 3)]
    await pass_window(world)
    await world.enquire()
    assert world.published() == [("UNKNOWN", 3), ("RECONCILE", 4)]
    await pass_window(world)
    assert await world.send() == 0
    assert await world.enquire() == 1
    assert [kind for kind, _ in world.bank.messages].count("send") == 1
    assert (await world.row_of(instruction()))["status"] == "RECONCILE"


async def test_a_definite_response_ends_a_transfer_that_needs_a_person(world):
    world.policy, world.bank.loses_requests = ONCE, True
    await world.request(requested())
    await world.send()
    world.bank.loses_requests = False
    await pass_window(world)
    await world.enquire()
    world.bank.booked[instruction().uetr] = 1
    await pass_window(world)
    await world.enquire()
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE", "SETTLED"]


async def test_a_worker_crash_never_sends_twice_to_a_bank_that_is_not_idempotent(world):
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
    assert world.published() == [("SETTLED", 3)]


async def test_after_a_change_to_not_idempotent_a_sent_transfer_is_only_enquired_about(world):
    world.bank.books_repeats, world.bank.loses_requests = True, True
    await world.request(requested(1))
    await world.send()
    world.bank.loses_requests = False
    await world.later()
    await world.enquire()
    assert (await world.row_of(instruction(1)))["next_step"] == "SEND"
    world.policy = ONCE
    await world.request(requested(2))
    assert await world.send() == 2
    assert world.bank.booked == {instruction(2).uetr: 1}
    assert (await world.row_of(instruction(1)))["status"] == "UNKNOWN"


async def refused_again_and_again(world, payee="payee-refused", rounds=8):
    """Let a bank refuse or garble a transfer for some minutes."""
    await world.request(requested(payee=payee))
    for _ in range(rounds):
        await world.send()
        await world.enquire()
        world.clock.pass_time(seconds=20)
        await world.later_within_window()


@pytest.mark.parametrize("payee", ["payee-refused", "payee-garbled"])
async def test_a_transfer_that_is_always_refused_is_a_case_after_the_window_and_not_sent_again(
    world, payee
):
    await refused_again_and_again(world, payee)
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE"]
    assert [row["kind"] for row in await world.list_cases()] == ["OUTCOME_UNKNOWN"]
    sent = [kind for kind, _ in world.bank.messages].count("send")
    await refused_again_and_again(world, payee)
    assert [kind for kind, _ in world.bank.messages].count("send") == sent
    # Back-off limits the enquiries to a few messages a minute.
    assert len(world.bank.messages) <= 24
    assert world.audit_entries() == [("CASE_OPENED", "settlement")]


async def test_two_people_return_a_transfer_that_is_always_refused(world):
    await refused_again_and_again(world)
    (case,) = await world.list_cases()
    assert case["details"] == "its bank refuses it, past its in-flight window"
    resolutions = world.resolutions()
    await resolutions.resolve(case["id"], Proposal(Resolution.RETURN, "alice", "their clerk"))
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE"]
    await resolutions.resolve(case["id"], Proposal(Resolution.RETURN, "bob", "clerk", True))
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE", "REJECTED"]
    assert not world.bank.booked


async def test_a_response_about_another_transfer_with_the_same_uetr_settles_nothing(world):
    world.bank.others.add(instruction().uetr)
    await world.request(requested())
    await world.send()
    for _ in range(3):
        await world.later_within_window()
        await world.enquire()
    assert [status for status, _ in world.published()] == ["UNKNOWN", "RECONCILE"]
    (case,) = await world.list_cases()
    assert "another transfer" in case["details"]


async def test_a_bank_that_accepts_only_small_messages_settles_all_transfers(world):
    world.bank.most_rows = 3
    await world.request(*[requested(number) for number in range(1, 31)])
    for _ in range(40):
        await world.send()
    assert (len(world.bank.booked), max(world.bank.booked.values())) == (30, 1)
    assert {status for status, _ in world.published()} == {"SETTLED"}
