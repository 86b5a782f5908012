"""A batch is nothing but its requests one after the other; idempotency over any interleaving."""

from confirm_builders import ACCOUNT, POLICY, drawn, first_request
from hypothesis import given, settings
from hypothesis import strategies as st

from confirm.domain.decision import reply_to
from confirm.domain.request_batch import RequestBatch
from payment_schemas.events.confirmation import ConfirmAnswered
from testkit.events import NOON

requests = st.lists(
    st.builds(
        lambda number, transaction, key, code, fields: first_request(
            request_id=f"00000000-0000-4000-8000-{number:012}",
            transaction_id=f"tx-{transaction}",
            idempotency_key=f"key-{key}",
            code_tag=code,
            **fields,
        ),
        number=st.integers(1, 10**12 - 1),
        transaction=st.integers(1, 3),
        key=st.integers(1, 3),
        code=st.sampled_from([None, "tag"]),
        fields=st.sampled_from(
            [{}, {}, {"amount": "1"}, {"amount": None}, {"from_account": "acc-9"}]
        ),
    ),
    unique_by=lambda request: request.request_id,
    max_size=12,
)


class Table:
    """What is stored, as the store's contract has it: the first one counts."""

    def __init__(self):
        self.payments = []
        self.number = 0

    def draw(self):
        self.number += 1
        return drawn(self.number)

    def open(self, decisions):
        for payment in sorted((d.state for d in decisions), key=lambda one: one.id):
            keys = {one.idempotency_key for one in self.payments}
            ids = {one.id for one in self.payments}
            if payment.id not in ids and payment.idempotency_key not in keys:
                self.payments.append(payment)

    def take(self, batch):
        """Take a batch as the handler does; return what each request was told, and its events."""
        talk = RequestBatch({"acc-1": ACCOUNT}, POLICY, NOON)
        told, rounds = [], 0
        while len(told) < len(batch):
            rounds += 1
            assert rounds <= 2, "what is stored is known after one look"
            waiting = batch[len(told) :]
            candidates = talk.candidates(waiting, self.draw)
            self.open(candidates)
            talk.learn(self.payments, candidates)
            for request in waiting:
                decision = talk.decide(request)
                refused = talk.refusal(request)
                if decision is None and refused is None:
                    break
                told.append(decision.events if decision else (reply_to(request, refused),))
        return told


def shown(payments):
    return {(p.transaction_id, p.idempotency_key, p.amount_minor, p.request_id) for p in payments}


@settings(max_examples=500)
@given(batch=requests)
def test_new_payments_are_the_same_in_one_batch_and_one_by_one(batch):
    whole, singly = Table(), Table()

    told = whole.take(batch)

    assert told == [events for request in batch for events in singly.take([request])]
    assert shown(whole.payments) == shown(singly.payments)


@settings(max_examples=500)
@given(batches=st.lists(requests, max_size=4))
def test_every_request_is_answered_or_makes_the_one_payment_of_its_transaction_and_key(batches):
    table = Table()

    told = [events for batch in batches for events in table.take(batch)]

    for name in ("transaction_id", "idempotency_key"):
        found = [getattr(payment, name) for payment in table.payments]
        assert len(found) == len(set(found))
    assert all(len(events) == 1 for events in told)
    opened = [events for events in told if not isinstance(events[0], ConfirmAnswered)]
    assert len(opened) == len(table.payments)
