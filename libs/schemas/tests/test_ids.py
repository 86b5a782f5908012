from uuid import NAMESPACE_URL, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.ids import event_id_of, payment_id_of

USERS = st.text(min_size=1, max_size=20)
TRANSACTIONS = st.from_regex(r"[A-Za-z0-9._:\-]{1,64}", fullmatch=True)


def test_a_payments_id_is_derived_from_user_and_transaction():
    namespace = uuid5(NAMESPACE_URL, "urn:countersign:payment")

    assert payment_id_of("usr-456", "tx-987") == uuid5(uuid5(namespace, "usr-456"), "tx-987")


@given(USERS, USERS, TRANSACTIONS)
def test_equal_transaction_ids_of_two_users_are_two_payments(one, other, transaction):
    same = payment_id_of(one, transaction) == payment_id_of(other, transaction)

    assert same is (one == other)


@given(st.uuids(), st.uuids(), st.text(max_size=5), st.text(max_size=5))
def test_an_event_id_depends_on_cause_and_type_only(cause, other, step, other_step):
    event_id = event_id_of(cause, "otp.verified.v1", step)

    assert event_id == event_id_of(cause, "otp.verified.v1", step)
    assert (event_id == event_id_of(other, "otp.verified.v1", step)) is (cause == other)
    assert (event_id == event_id_of(cause, "otp.verified.v1", other_step)) is (step == other_step)
    assert event_id != event_id_of(cause, "otp.challenged.v1", step)


def test_two_steps_of_one_row_have_different_ids():
    row = UUID(int=7)

    ids = {event_id_of(row, "settlement.updated.v1", str(epoch)) for epoch in range(1, 200)}

    assert len(ids) == 199
