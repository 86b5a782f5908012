"""Settlement as a state machine: each payment moves money once, with a bank that loses and delays.

The model is the bank's ledger; the handlers use the store's memory twin.
"""

from collections import Counter
from datetime import timedelta
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from settlement_builders import NOW, requested
from settlement_world import OUTLET, ROUTING

from payment_schemas.events.settlement import SettlementUpdated
from service_runtime.messages import Batch
from settlement import handlers
from settlement.clients import MemoryPartnerBank
from settlement.domain import FINAL, NextStep, Policy, Status
from settlement.domain.reconciliation import Case, Proposal, Resolution
from settlement.store import TABLE, MemoryCases, MemoryInstructions
from testkit.events import received
from testkit.memory import MemoryDatabase, MemoryWorkTable, SteadyClock

PAYEES = [
    *("payee-xyz", "payee-rejected", "payee-late", "north-payee"),
    *("payee-refused", "payee-garbled"),
]
LEASE_S = 10.0
IN_FLIGHT_S = 60.0
PEOPLE = ("alice", "bob")


def run(work):
    """Return the result of a coroutine that never waits, as with memory twins."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a memory twin has waited")


class Settlement(RuleBasedStateMachine):
    """Six payments, two partners, and workers that stop in the middle and continue late.

    For two of the payees only people can decide the outcome. They decide by the bank's ledger; a
    late message arrives only within its in-flight window.
    """

    @initialize()
    def start(self):
        self.clock = SteadyClock(NOW)
        self.database = MemoryDatabase(self.clock)
        self.banks = {"first-bank": MemoryPartnerBank(), "north-bank": MemoryPartnerBank()}
        self.before = {}
        self.published = {}
        self.late_messages = []
        self.stopped = []

    @rule(number=st.integers(0, len(PAYEES) - 1))
    def confirm(self, number):
        run(self.requested(requested(number + 1, PAYEES[number])))

    async def requested(self, event):
        async with self.database.transaction() as tx:
            items = [received(event, self.clock.new_id())]
            batch = Batch(items, self.clock.now())
            await handlers.on_settlement_requested(batch, MemoryInstructions(tx), ROUTING, OUTLET)

    endings = st.sampled_from(["answered", "request lost", "response lost", "arrives late"])

    @rule(ending=endings)
    def work(self, ending):
        for partner, step, due in self.slices():
            self.write_back(due, self.call_bank(partner, step, due, ending))

    @rule(ending=endings)
    def work_and_stop(self, ending):
        for partner, step, due in self.slices():
            self.stopped.append((due, self.call_bank(partner, step, due, ending)))

    def slices(self):
        """Claim a slice for each partner and step that has one due."""
        for partner in self.banks:
            for step in NextStep:
                if due := run(self.claimed(partner, step)):
                    yield partner, step, due

    @rule()
    def continue_late(self):
        """A stopped worker continues and writes its responses."""
        if self.stopped:
            self.write_back(*self.stopped.pop(0))

    @rule()
    def let_a_late_message_arrive(self):
        if self.late_messages:
            until, bank, instructions = self.late_messages.pop(0)
            if self.clock.now() < until:
                run(bank.send(instructions))

    @rule(actor=st.sampled_from(PEOPLE), is_approval=st.booleans())
    def decide(self, actor, is_approval):
        """A person resolves each case by the bank's ledger."""
        for case in self.database.tables.own["reconciliation_case"].copy().values():
            booked = any(bank.booked[case.uetr] for bank in self.banks.values())
            wanted = Resolution.SETTLE if booked else Resolution.RETURN
            decision = run(self.resolved(case.id, Proposal(wanted, actor, "ledger", is_approval)))
            assert not (isinstance(decision, Case) and decision.proposed_by == "settlement")

    async def resolved(self, case_id, proposal):
        resolutions = handlers.Resolutions(MemoryCases, self.run_in_transaction, self.clock)
        return await resolutions.resolve(case_id, proposal)

    async def run_in_transaction(self, write):
        async with self.database.transaction() as tx:
            for record in await write(tx):
                if record.topic == SettlementUpdated.topic:
                    self.record_published(SettlementUpdated.model_validate_json(record.value))

    @rule(seconds=st.sampled_from([0.5, 2, 11, 40]))
    def let_time_pass(self, seconds):
        self.clock.pass_time(seconds=seconds)

    @rule(is_late=st.booleans())
    def let_late_payees_book(self, is_late):
        for bank in self.banks.values():
            bank.is_late = bank.is_late and is_late

    async def claimed(self, partner, step):
        async with self.database.transaction() as tx:
            table = self.table(partner, step)
            due = await table.claim(tx, 100, LEASE_S)
            batch = Batch(due, self.clock.now())
            await handlers.on_due_instructions_claimed(batch, MemoryInstructions(tx))
        return due

    def table(self, partner, step):
        return MemoryWorkTable(TABLE, {"partner": partner, "next_step": step.value})

    def call_bank(self, partner, step, due, ending):
        """Call the bank; return its responses."""
        bank = self.banks[partner]
        bank.loses_requests = ending in ("request lost", "arrives late")
        bank.loses_answers = ending == "response lost"
        call = {NextStep.SEND: handlers.send, NextStep.ENQUIRE: handlers.enquire}[step]
        found = run(partial(call, bank=bank, clock=self.clock)(Batch(due, self.clock.now())))
        bank.loses_requests = bank.loses_answers = False
        if ending == "arrives late" and step is NextStep.SEND:
            until = self.clock.now() + timedelta(seconds=IN_FLIGHT_S)
            self.late_messages.append((until, bank, [item.row for item in due]))
        return found

    def write_back(self, due, found):
        for event in run(self.saved(due, found)):
            if isinstance(event, SettlementUpdated):
                self.record_published(event)

    def record_published(self, event):
        versions = self.published.setdefault(event.payment_id, [])
        versions.append((event.version, event.status))

    async def saved(self, due, found):
        async with self.database.transaction() as tx:
            batch = Batch(due, self.clock.now(), found)
            store = MemoryInstructions(tx)
            policy = Policy(in_flight_s=IN_FLIGHT_S)
            emitted = await handlers.on_due_instructions(batch, store, policy)
        return [emit.event for emit in emitted]

    def rows(self):
        return dict(self.database.tables.own[TABLE])

    @invariant()
    def no_outcome_changes_and_no_version_falls(self):
        if not hasattr(self, "database"):
            return
        for name, row in self.rows().items():
            before = self.before.get(name, row)
            assert row.version >= before.version
            assert row.uetr == before.uetr
            assert before.status not in FINAL or row.status is before.status
        self.before = self.rows()

    @invariant()
    def the_banks_ledger_agrees(self):
        if not hasattr(self, "database"):
            return
        booked = Counter()
        for bank in self.banks.values():
            booked += bank.booked
        for row in self.rows().values():
            assert booked[row.uetr] <= 1
            assert row.status is not Status.SETTLED or booked[row.uetr] == 1
            assert row.status is not Status.REJECTED or booked[row.uetr] == 0

    @invariant()
    def published_versions_rise_and_end_once(self):
        if not hasattr(self, "database"):
            return
        for published in self.published.values():
            versions = [version for version, _ in published]
            assert versions == sorted(set(versions))
            assert sum(status in FINAL for _, status in published) <= 1

    def teardown(self):
        if hasattr(self, "database"):
            self.end_all()

    def end_all(self):
        """Every instruction ends with a responding bank or by a decision of people."""
        for bank in self.banks.values():
            bank.is_late = False
        for _ in range(12):
            self.clock.pass_time(seconds=60)
            for partner, step, due in self.slices():
                self.write_back(due, self.call_bank(partner, step, due, "answered"))
            for actor, is_approval in zip(PEOPLE, (False, True), strict=True):
                self.decide(actor, is_approval)
        assert all(row.status in FINAL for row in self.rows().values())
        self.the_banks_ledger_agrees()


def test_each_payment_moves_money_once():
    run_state_machine_as_test(
        Settlement, settings=settings(max_examples=500, stateful_step_count=50)
    )
