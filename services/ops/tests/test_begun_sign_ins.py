"""Sign-ins under way: sealed in the browser's cookie, for a time, and for this console alone."""

import base64

import pytest

from ops.clients.begun_sign_ins import BegunSignIns
from ops.console.sign_in import MOST_PATH, _local
from testkit.events import NOON
from testkit.memory import SteadyClock

FIELDS = {"state": "s" * 43, "nonce": "n" * 43, "verifier": "v" * 43, "next": "/payments"}
LIFE_S = 600
MOST_COOKIE = 4096
"""Bytes of a cookie with its name and attributes. Source: RFC 6265, 6.1."""
ATTRIBUTES = 200


@pytest.fixture
def clock():
    return SteadyClock(NOON)


@pytest.fixture
def begun(clock):
    return BegunSignIns(lambda: "a secret", clock)


def test_fields_are_opened_within_their_time_alone(begun, clock):
    text = begun.sealed(FIELDS, LIFE_S)
    clock.pass_time(seconds=LIFE_S - 1)
    assert begun.opened(text) == FIELDS
    clock.pass_time(seconds=1)
    assert begun.opened(text) is None


def test_a_cookie_shows_nothing_and_is_never_the_same(begun):
    one, other = begun.sealed(FIELDS, LIFE_S), begun.sealed(FIELDS, LIFE_S)
    assert one[:38] != other[:38]
    assert b"payments" not in base64.urlsafe_b64decode(one)


def test_another_consoles_or_a_changed_cookie_is_none(begun, clock):
    other = BegunSignIns(lambda: "another secret", clock)
    assert other.opened(begun.sealed(FIELDS, LIFE_S)) is None
    raw = bytearray(base64.urlsafe_b64decode(begun.sealed(FIELDS, LIFE_S)))
    for place in (0, 16, 28, len(raw) - 1):
        changed = bytes(raw[:place]) + bytes([raw[place] ^ 1]) + bytes(raw[place + 1 :])
        assert begun.opened(base64.urlsafe_b64encode(changed).decode()) is None
    for text in ("", "x", "=", "é", "AAAA", "A" * 40):
        assert begun.opened(text) is None


@pytest.mark.parametrize("letter", ["x", '"', "é"])
def test_the_longest_address_after_a_sign_in_fits_into_a_cookie(begun, letter):
    paths = (_local("/" + letter * length) for length in range(MOST_PATH))
    longest = max(len(begun.sealed({**FIELDS, "next": path}, LIFE_S)) for path in paths)
    assert MOST_COOKIE / 2 < longest < MOST_COOKIE - ATTRIBUTES
