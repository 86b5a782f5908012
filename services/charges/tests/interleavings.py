"""Every order in which calls, losses, webhooks, kills, cancels and refunds can meet, by seed.

The decisions are those of the service; the providers keep their idempotency keys, and lose, delay,
repeat and reorder everything else. A worker may be killed before and after each call. A provider
that lies says of what it has taken that it is unknown, declined, cancelled or under way; only its
webhooks tell the truth, sooner or later.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from charges.domain import acts
from charges.domain.charge import (
    ENDED,
    Call,
    Charge,
    Policy,
    Step,
    after_reply,
    begin,
    next_call,
    without_route,
)
from charges.domain.postings import INTERNAL, capture_transfers, refund_hold, refund_outcome
from charges.domain.refund import (
    REFUND_ENDED,
    Refund,
    RefundStep,
    after_refund_reply,
    begin_refund,
)
from charges.domain.replies import Kind, Reply
from double_entry.rules import Ledger
from payment_schemas.money import Money
from service_runtime.clock import chance

START = datetime(2026, 11, 30, tzinfo=UTC)
POLICY = Policy(first_s=1, most_s=30, in_flight_s=60, expires_s=900)
PROVIDERS = ("stripe", "adyen", "stripe_ach")
LIES = (
    Reply(Kind.NOT_FOUND),
    Reply(Kind.PENDING),
    Reply(Kind.CANCELLED),
    Reply(Kind.DECLINED, "do_not_honor", is_soft=True),
    Reply(Kind.DECLINED, "expired_card"),
)
MOST_LATE_S = 25
"""A lost request arrives within the time in flight, or never."""


@dataclass
class Provider:
    """A provider's own books. What is executed is decided once for each key."""

    payments: dict[str, Kind] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    captures: list[str] = field(default_factory=list)

    def execute(self, world, step, charge):
        known = self.payments.get(charge.reference)
        if step is Step.AUTHORIZE and known is None:
            self.payments[charge.reference] = world.verdict()
            if self.payments[charge.reference] is Kind.CAPTURED:
                self.captures.append(charge.reference)
        elif step is Step.CAPTURE and known is Kind.AUTHORIZED:
            self.payments[charge.reference] = Kind.CAPTURED
            self.captures.append(charge.reference)
        elif step is Step.VOID and known is Kind.AUTHORIZED:
            self.payments[charge.reference] = Kind.CANCELLED
        elif step in (Step.CAPTURE, Step.VOID):
            return Reply(Kind.REFUSED)
        return self.seen(charge.reference)

    def seen(self, reference):
        kind = self.payments.get(reference, Kind.NOT_FOUND)
        own = None if kind is Kind.NOT_FOUND else f"own-{reference}"
        if kind is Kind.DECLINED:
            soft = hash_of(reference) % 2 == 0
            return Reply(kind, "do_not_honor" if soft else "expired_card", soft, own)
        return Reply(kind, reference=own)

    def refund(self, refund):
        done = sum(self.refunds.values())
        if refund.reference not in self.refunds:
            assert self.payments[refund.charge_reference] is Kind.CAPTURED
            assert done + refund.money.amount_minor <= 1_000, "refunded more than was captured"
            self.refunds[refund.reference] = refund.money.amount_minor
        return Reply(Kind.REFUNDED)


def hash_of(reference):
    return sum(reference.encode())


class World:
    """One charge, its refunds, three providers, and time."""

    def __init__(self, seed, lies=0.0):
        self.chance = chance(seed)
        self.lies = lies
        self.now = START
        self.providers = {name: Provider() for name in PROVIDERS}
        self.charge = Charge(
            UUID(int=seed + 1), "usr-1", Money(1_000, "EUR"), "tok_test", "a@example.com", START,
            due_at=START, goal=self.chance.choice([*acts.Goal][:2]),
            may_retry=self.chance.random() < 0.8,
        )  # fmt: skip
        self.refunds: list[Refund] = []
        self.ledger = Ledger({}, INTERNAL)
        self.under_way: list[tuple[datetime, object]] = []
        self.arriving: list[tuple[datetime, object]] = []
        self.faults = self.chance.choice([0.0, 0.2, 0.5])
        self.late = 0
        self.wants_refunds = self.chance.random() < 0.6

    def is_faulty(self):
        return self.chance.random() < self.faults

    def verdict(self):
        auth = Kind.CAPTURED if self.charge.goal is acts.Goal.CAPTURE else Kind.AUTHORIZED
        return self.chance.choice([auth, auth, Kind.AUTHORIZED, Kind.DECLINED])

    # What the service does.

    def save(self, after):
        before, self.charge = self.charge, after
        assert after.captured_minor >= after.refunding_minor + after.refunded_minor
        assert min(after.refunding_minor, after.refunded_minor) >= 0
        if before.status in acts.PAID:
            assert after.status in acts.PAID, "what is captured stays captured"
        if not before.captured_minor and after.captured_minor:
            for one in capture_transfers(after, self.now.date()):
                self.ledger.post(one)

    def work(self):
        charge = self.charge
        step = next_call(charge, self.now, POLICY)
        provider = charge.provider or next((p for p in PROVIDERS if p not in charge.tried), None)
        call = Call(
            step or Step.AUTHORIZE, charge.attempt,
            is_first=step is Step.AUTHORIZE and charge.sent_at is None,
        )  # fmt: skip
        if step is None or provider is None:
            self.save(without_route(charge, call.attempt, "no_provider").state)
            return
        begun = begin(replace(charge, next_step=step), provider, self.now)
        self.alone(begun)
        self.save(begun)
        if self.is_faulty():  # killed before the call
            return
        reply = self.called(begun, step)
        if self.is_faulty():  # killed after the call
            return
        for _ in range(self.chance.choice([0, 0, 1, 3])):
            self.happen()  # meanwhile
        self.save(after_reply(self.charge, call, reply, self.now, POLICY).state)

    def alone(self, charge):
        """No other provider may still charge while this one is called, as far as they say."""
        if self.lies:
            return
        for name, provider in self.providers.items():
            kinds = {provider.payments[r] for r in provider.payments}
            if name != charge.provider:
                assert kinds <= {Kind.DECLINED, Kind.CANCELLED}, (name, kinds)

    def called(self, charge, step):
        provider = self.providers[charge.provider]
        if self.chance.random() < self.faults / 3:
            return Reply(Kind.NOT_SENT)
        if step is Step.ENQUIRE:
            if self.is_faulty():
                return Reply(Kind.NO_ANSWER)
            return self.said(provider.seen(charge.reference))
        if self.is_faulty():  # the request arrives late, or never
            if self.chance.random() < 0.7:
                at = self.now + timedelta(seconds=self.chance.randrange(1, MOST_LATE_S))
                self.under_way.append((at, lambda: self.executed(provider, step, charge)))
            return Reply(Kind.NO_ANSWER)
        reply = self.executed(provider, step, charge)
        return Reply(Kind.NO_ANSWER) if self.is_faulty() else self.said(reply)

    def said(self, reply):
        """What the provider says of what it knows."""
        is_lie = self.lies and self.chance.random() < self.lies
        return self.chance.choice(LIES) if is_lie else reply

    def executed(self, provider, step, charge):
        reply = provider.execute(self, step, charge)
        for _ in range(self.chance.choice([1, 2] if self.lies else [0, 1, 2])):
            at = self.now + timedelta(seconds=self.chance.randrange(0, 200))
            self.arriving.append((at, lambda: self.report(charge.attempt, reply)))
        return reply

    def report(self, attempt, reply):
        if reply.kind is Kind.REFUSED:
            return
        decision = after_reply(self.charge, Call(Step.REPORT, attempt), reply, self.now, POLICY)
        self.late += decision.is_late
        self.save(decision.state)

    def work_refund(self, place):
        before = self.refunds[place]
        if before.next_step is RefundStep.SEND:
            self.save_refund(place, begin_refund(before))
        provider = self.providers[before.provider]
        if self.is_faulty():
            reply = Reply(Kind.NO_ANSWER if self.is_faulty() else Kind.NOT_SENT)
        elif before.next_step is RefundStep.SEND:
            reply = provider.refund(before)
        else:
            known = before.reference in provider.refunds
            reply = Reply(Kind.REFUNDED if known else Kind.NOT_FOUND)
        if self.is_faulty():
            return
        is_first = before.next_step is RefundStep.SEND and not before.was_sent
        for _ in range(self.chance.choice([0, 1])):
            self.happen()
        state = self.refunds[place]
        self.save_refund(
            place, after_refund_reply(state, reply, self.now, POLICY, is_first=is_first)
        )

    def save_refund(self, place, after):
        before, self.refunds[place] = self.refunds[place], after
        if before.status in REFUND_ENDED or after.status not in REFUND_ENDED:
            return
        is_done = after.status == "SUCCEEDED"
        self.save(acts.after_refund(self.charge, after.money.amount_minor, is_done=is_done))
        self.ledger.post(refund_outcome(after, is_done=is_done))

    # What happens beside it.

    def happen(self):
        what = self.chance.random()
        if what < 0.06:
            self.act(acts.cancel(self.charge, self.now))
        elif what < 0.12:
            self.act(acts.capture(self.charge, self.now))
        elif what < 0.4:
            self.request_refund(self.chance.choice([None, 300, 700, 1_001]))
        else:
            self.deliver()

    def act(self, after):
        if not isinstance(after, acts.Refusal):
            self.save(after)

    def request_refund(self, amount):
        found = acts.refund(self.charge, amount)
        if not self.wants_refunds or isinstance(found, acts.Refusal):
            return
        self.save(found.charge)
        charge = found.charge
        self.refunds.append(
            Refund(
                UUID(int=charge.id.int * 100 + len(self.refunds)), charge.id, charge.user_id,
                Money(found.amount_minor, "EUR"), charge.provider, charge.reference,
                charge.provider_reference or "", due_at=self.now,
            )
        )  # fmt: skip
        self.ledger.post(refund_hold(self.refunds[-1]))

    def deliver(self):
        due = [one for one in self.arriving if one[0] <= self.now]
        if due:
            one = self.chance.choice(due)
            self.arriving.remove(one)
            one[1]()

    # Time.

    def run(self, steps=400):
        for number in range(steps):
            if number == steps // 2:
                self.faults = 0.0
            self.now += timedelta(seconds=self.chance.choice([0, 1, 5, 30]))
            for one in [one for one in self.under_way if one[0] <= self.now]:
                self.under_way.remove(one)
                one[1]()
            if number < steps // 2 or self.arriving:
                self.happen()
            if self.is_due(self.charge):
                self.work()
            for place, refund in enumerate(self.refunds):
                if self.is_due(refund):
                    self.work_refund(place)
        return self

    def is_due(self, row):
        return row.due_at is not None and row.due_at <= self.now

    @property
    def is_over(self):
        held = self.charge.status == "AUTHORIZED" and self.charge.goal is acts.Goal.HOLD
        refunds = all(one.status in REFUND_ENDED for one in self.refunds)
        return (held or self.charge.status in ENDED) and refunds
