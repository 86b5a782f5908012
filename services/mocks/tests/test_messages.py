from hypothesis import given
from hypothesis import strategies as st

from mocks.messages import MAX_LISTED, Message, Messages


def message(number, delivery_id=None, to="+15550100456"):
    return Message(f"SM{number}", to, {"body": f"text {number}"}, delivery_id)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab")), max_size=40))
def test_a_repeated_delivery_is_one_message_for_each_recipient(sendings):
    messages = Messages()
    for number, (delivery, to) in enumerate(sendings):
        messages.add(message(number, f"delivery-{delivery}", to))
    listed = messages.to(None)
    assert {(one.delivery_id, one.to) for one in listed} == {
        (f"delivery-{delivery}", to) for delivery, to in sendings
    }
    assert len(listed) == len(set(sendings))
    assert sum(one.received for one in listed) == len(sendings)


def test_without_a_delivery_id_each_message_is_new():
    messages = Messages()
    assert messages.add(message(1)).sid == "SM1"
    assert messages.add(message(2)).sid == "SM2"


def test_beyond_the_limit_the_oldest_message_is_removed():
    messages = Messages(limit=2)
    for number in range(3):
        messages.add(message(number))
    assert [one.sid for one in messages.to(None)] == ["SM1", "SM2"]


def test_a_list_is_the_newest_thousand_oldest_first():
    messages = Messages()
    for number in range(MAX_LISTED + 5):
        messages.add(message(number))
    listed = messages.to("+15550100456")
    assert (len(listed), listed[0].sid, listed[-1].sid) == (MAX_LISTED, "SM5", "SM1004")
