import json
import pickle

import pytest
from pydantic import BaseModel

from payment_schemas.sealed import Personal, Sealed

SECRET = "789012"


class Message(BaseModel):
    sealed: Sealed
    to: Personal


@pytest.mark.parametrize("kind", [Sealed, Personal])
@pytest.mark.parametrize(
    "shown",
    [str, repr, "{}".format, "{!r}".format, "{:>20}".format, lambda value: f"{value}", ascii,
     lambda value: "".join(map(str, [value])), lambda value: repr([value]),
     lambda value: repr({"code": value}), lambda value: str(ValueError(value))],
)  # fmt: skip
def test_a_secret_prints_as_stars_in_every_format(kind, shown):
    assert SECRET not in shown(kind(SECRET))
    assert "***" in shown(kind(SECRET))


def test_a_secret_is_stars_inside_a_model_too():
    message = Message(sealed=SECRET, to=SECRET)

    assert SECRET not in repr(message)
    assert SECRET not in str(message)


def test_a_secret_can_be_revealed_and_serialized():
    message = Message(sealed=SECRET, to=SECRET)

    assert message.sealed.reveal() == SECRET
    assert json.loads(message.model_dump_json()) == {"sealed": SECRET, "to": SECRET}
    assert Message.model_validate_json(message.model_dump_json()) == message


def test_a_secret_stays_masked_when_it_is_copied():
    copied = pickle.loads(pickle.dumps(Message(sealed=SECRET, to=SECRET)))  # noqa: S301 - our own

    assert SECRET not in repr(copied)
