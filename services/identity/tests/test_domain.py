"""Rules of subjects, passwords and refresh tokens, without a service."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.clients.passwords import common_passwords
from identity.domain.durations import short
from identity.domain.families import (
    Presented,
    Session,
    Verdict,
    first_token,
    judge,
    successor_of,
)
from identity.domain.passwords import PasswordRules
from identity.domain.subjects import (
    PREFIX,
    client_subject,
    email_of,
    user_id_of,
    user_subject,
)
from payment_schemas.scopes import CUSTOMER_SCOPES, ROLES, SCOPES, scopes_of
from testkit.events import NOON

COMMON = common_passwords(8)
RULES = PasswordRules(COMMON, 8)
GRACE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


@given(st.uuids())
def test_a_users_subject_names_the_user_and_a_clients_names_none(user_id):
    assert user_id_of(user_subject(user_id)) == user_id
    assert user_id_of(client_subject(f"a{user_id.hex}"[:30])) is None
    assert user_subject(user_id).startswith(PREFIX)


@pytest.mark.parametrize("text", ["", "usr-456", "cs_user_", "cs_user_" + "g" * 32])
def test_any_other_subject_names_no_user(text):
    assert user_id_of(text) is None


@pytest.mark.parametrize(
    "text", ["a", "a@b", "a b@c.de", "@c.de", "a@c..de", "a@b@c.de", "a\n@c.de"]
)
def test_what_cannot_be_an_address_is_refused_without_its_text(text):
    with pytest.raises(ValueError, match=r"^must be an e-mail address$"):
        email_of(text)


def test_addresses_that_differ_by_case_are_one():
    assert email_of(" Ada@Example.COM ").reveal() == "ada@example.com"


@pytest.mark.parametrize(
    "password", ["1234567", "password1", "qwertyuiop", "abababab", "Countersign1", "ada.love1"]
)
def test_a_password_that_is_guessed_first_is_refused(password):
    assert RULES.fault(password, "ada.love@example.com") is not None


@pytest.mark.parametrize(
    "password", ["tr0ub4dor&3x", "ünïcödé pässwörter", "a" * 200 + "bc", "countersign is my bank"]
)
def test_any_other_password_is_accepted_whatever_its_characters(password):
    assert RULES.fault(password, "ada@example.com") is None


def test_at_least_3000_common_passwords_are_known():
    assert len(COMMON) > 3000


@pytest.mark.parametrize(
    ("seconds", "text"), [(900, "15m"), (90, "90s"), (86400, "1d"), (7200, "2h"), (0, "0s")]
)
def test_a_duration_is_shown_in_its_largest_whole_unit(seconds, text):
    assert short(seconds) == text


SESSION = Session(
    UUID(int=1), UUID(int=2), "customer", NOON + timedelta(days=7), NOON + timedelta(days=30)
)
USED = Presented(NOON, "nonce")


@pytest.mark.parametrize(
    ("token", "after", "verdict"),
    [
        pytest.param(Presented(), SECOND, Verdict.ROTATED, id="its first use"),
        pytest.param(USED, GRACE - SECOND, Verdict.REPEATED, id="a repeat in time"),
        pytest.param(USED, -SECOND, Verdict.REPEATED, id="a repeat at a clock that is behind"),
        pytest.param(USED, GRACE, Verdict.REUSED, id="a repeat too late"),
        pytest.param(
            Presented(NOON, "nonce", successor_used=True), SECOND, Verdict.REUSED,
            id="a repeat after the next token was used",
        ),
        pytest.param(Presented(), timedelta(days=7), Verdict.OVER, id="an idle session"),
        pytest.param(USED, timedelta(days=30), Verdict.OVER, id="an old session"),
    ],
)  # fmt: skip
def test_the_verdict_on_a_refresh_token(token, after, verdict):
    assert judge(SESSION, token, NOON + after, GRACE) is verdict


@given(st.text(min_size=43, max_size=43), st.text(min_size=1), st.text(min_size=1))
def test_the_next_token_follows_from_token_and_nonce_and_from_nothing_less(secret, one, other):
    token = first_token(secret)
    assert successor_of(token, one).reveal() == successor_of(token, one).reveal()
    assert (successor_of(token, one).reveal() == successor_of(token, other).reveal()) is (
        one == other
    )
    assert secret not in successor_of(token, one).reveal()
    assert str(token) == "***"


def test_a_role_has_scopes_of_operators_alone_and_an_unknown_role_none():
    assert scopes_of(["admin"]) == set(SCOPES)
    assert scopes_of(["viewer", "unknown"]) == {"ops.read"}
    for scopes in ROLES.values():
        assert not set(scopes) & set(CUSTOMER_SCOPES)
