"""A batch has the same result as its requests one by one; idempotency in any order."""

from confirm_builders import ACCOUNT, POLICY, first_request, uetr
from hypothesis import given, settings
from hypothesis import strategies as st

from confirm.domain.events import reply
from confirm.domain.request_batch import RequestBatch
from payment_schemas.answers import Answer
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
    """Stored payments, and batches decided as the handler decides them."""

    def __init__(self):
        self.payments = {}
        self.number = 0

    def draw(self):
        self.number += 1
        return uetr(self.number)

    def take(self, batch):
        """Decide a batch, store its payments, and return the events of each request."""
        folded = RequestBatch({"acc-1": ACCOUNT}, POLICY, NOON, self.draw)
        folded.add_stored(self.payments.values())
        decided = [folded.decide(request) for request in batch]
        self.payments |= folded.new | folded.changed
        return [
            (reply(request, result),) if isinstance(result, Answer) else result.events
            for request, result in zip(batch, decided, strict=True)
        ]


def summary(payments):
    return {
        (p.transaction_id, p.idempotency_key, p.amount_minor, p.request_id)
        for p in payments.values()
    }


@settings(max_examples=500)
@given(batch=requests)
def test_new_payments_are_the_same_in_one_batch_and_one_by_one(batch):
    whole, singly = Table(), Table()

    emitted = whole.take(batch)

    assert emitted == [events for request in batch for events in singly.take([request])]
    assert summary(whole.payments) == summary(singly.payments)


@settings(max_examples=500)
@given(batches=st.lists(requests, max_size=4))
def test_every_request_gets_a_reply_or_creates_the_only_payment_of_its_transaction_and_key(batches):
    table = Table()

    emitted = [events for batch in batches for events in table.take(batch)]

    for name in ("transaction_id", "idempotency_key"):
        found = [getattr(payment, name) for payment in table.payments.values()]
        assert len(found) == len(set(found))
    assert all(len(events) == 1 for events in emitted)
    opened = [events for events in emitted if not isinstance(events[0], ConfirmAnswered)]
    assert len(opened) == len(table.payments)
