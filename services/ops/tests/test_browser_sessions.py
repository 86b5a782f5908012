"""Sessions of browsers: sealed, limited in time, ended; and the token behind them."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from ops.clients.addresses import Addresses
from ops.clients.browser_sessions import BrowserSessions
from ops.clients.system import System
from ops.console.viewers import (
    ForbiddenError,
    Limits,
    SignInNeededError,
    Stores,
    Viewers,
    check_act,
)
from ops.domain.errors import UnavailableError
from testkit.events import NOON
from testkit.memory import SteadyClock

LIMITS = Limits(idle_s=1800, life_s=36_000)
TOKENS = {
    "access_token": "access-1",
    "refresh_token": "refresh-1",
    "expires_in": 900,
    "scope": "openid ops.read",
    "claims": {"iss": "http://issuer", "sub": "alice"},
}


class MemoryValues:
    """Values of Redis, with the time for which each is kept."""

    def __init__(self):
        self.kept = {}
        self.is_away = False

    def _look(self):
        if self.is_away:
            raise RedisConnectionError

    def set(self, name, value, *, ex):
        self._look()
        self.kept[name] = (value, ex)

    def getex(self, name, *, ex):
        self._look()
        return self.kept.get(name, (None, 0))[0]

    def getdel(self, name):
        self._look()
        return self.kept.pop(name, (None, 0))[0]

    def delete(self, name):
        self._look()
        self.kept.pop(name, None)


class Issuer:
    """Refreshes each token once."""

    def __init__(self):
        self.valid, self.revoked, self.refreshes = {"refresh-1"}, [], 0

    def refreshed(self, token):
        if token not in self.valid:
            return None
        self.refreshes += 1
        self.valid = {f"refresh-{self.refreshes + 1}"}
        (refresh,) = self.valid
        return {"access_token": "access-2", "expires_in": 900, "refresh_token": refresh}

    def revoke(self, token):
        self.revoked.append(token)


@pytest.fixture
def world():
    clock, values, issuer = SteadyClock(NOON), MemoryValues(), Issuer()
    stores = Stores(BrowserSessions(values, "signed-in"), BrowserSessions(values, "notice"))
    viewers = Viewers(stores, issuer, System(Addresses()), clock, LIMITS)
    request = SimpleNamespace(headers={})
    return SimpleNamespace(
        clock=clock, values=values, issuer=issuer, viewers=viewers, request=request
    )


def test_what_redis_holds_shows_neither_tokens_nor_the_secret(world):
    secret = world.viewers.begin(TOKENS)
    ((name, (value, kept_s)),) = world.values.kept.items()
    assert secret not in name
    assert b"access-1" not in value
    assert name.startswith("session/ops/signed-in/")
    assert kept_s == LIMITS.idle_s


def test_a_session_is_found_by_its_secret_alone(world):
    secret = world.viewers.begin(TOKENS)
    viewer = world.viewers.find(world.request, secret)
    assert (viewer.actor, viewer.scopes) == ("http://issuer|alice", {"ops.read"})
    for wrong in ("", secret[::-1], "x" * 43):
        with pytest.raises(SignInNeededError):
            world.viewers.find(world.request, wrong)


def test_a_value_that_was_changed_opens_no_session(world):
    secret = world.viewers.begin(TOKENS)
    ((name, (value, kept_s)),) = world.values.kept.items()
    world.values.kept[name] = (value[:-1] + bytes([value[-1] ^ 1]), kept_s)
    with pytest.raises(SignInNeededError):
        world.viewers.find(world.request, secret)


def test_a_token_is_refreshed_once_before_it_expires(world):
    secret = world.viewers.begin(TOKENS)
    world.clock.pass_time(seconds=880)
    assert [world.viewers.find(world.request, secret).session.access_token for _ in range(3)] == [
        "access-2"
    ] * 3
    assert world.issuer.refreshes == 1


def test_a_session_ends_with_its_refresh_token(world):
    secret = world.viewers.begin(TOKENS)
    world.issuer.valid.clear()
    world.clock.pass_time(seconds=900)
    with pytest.raises(SignInNeededError):
        world.viewers.find(world.request, secret)
    assert world.values.kept == {}


def test_a_session_ends_after_its_life_however_busy_it_is(world):
    secret = world.viewers.begin({**TOKENS, "expires_in": 10**6})
    world.clock.pass_time(seconds=LIMITS.life_s)
    world.viewers.find(world.request, secret)
    world.clock.pass_time(seconds=1)
    with pytest.raises(SignInNeededError):
        world.viewers.find(world.request, secret)


def test_a_sign_out_ends_the_session_here_and_at_the_issuer(world):
    secret = world.viewers.begin(TOKENS)
    world.viewers.end(world.viewers.find(world.request, secret))
    assert (world.values.kept, world.issuer.revoked) == ({}, ["refresh-1"])


def test_a_notice_is_for_one_page_and_leaves_the_session_as_it_is(world):
    viewer = world.viewers.find(world.request, world.viewers.begin(TOKENS))
    kept = dict(world.values.kept)
    world.viewers.notify(viewer, "1 record is published again.")
    assert world.viewers.notice(viewer) == "1 record is published again."
    assert (world.viewers.notice(viewer), world.values.kept) == ("", kept)


def test_without_redis_the_console_says_so(world):
    secret = world.viewers.begin(TOKENS)
    world.values.is_away = True
    with pytest.raises(UnavailableError, match="Redis"):
        world.viewers.find(world.request, secret)


@pytest.mark.parametrize(
    ("csrf", "site", "is_admitted"),
    [
        pytest.param(None, "same-origin", True, id="the session's own form"),
        pytest.param(None, "", True, id="of a browser that does not say from where"),
        pytest.param("other", "same-origin", False, id="another session's form"),
        pytest.param("", "same-origin", False, id="no token"),
        pytest.param(None, "cross-site", False, id="from another site"),
        pytest.param(None, "same-site", False, id="from another host of the site"),
    ],
)
def test_an_act_needs_a_form_of_the_session(world, csrf, site, is_admitted):
    viewer = world.viewers.find(world.request, world.viewers.begin(TOKENS))
    if site:
        viewer = replace(viewer, request=SimpleNamespace(headers={"sec-fetch-site": site}))
    form = {"csrf": viewer.session.csrf if csrf is None else csrf}
    if is_admitted:
        check_act(viewer, form)
    else:
        with pytest.raises(ForbiddenError):
            check_act(viewer, form)


def test_scopes_are_read_from_the_token_where_the_response_names_none(world):
    claims = base64.urlsafe_b64encode(json.dumps({"scope": "ops.read dlq.redrive"}).encode())
    tokens = {**TOKENS, "access_token": f"h.{claims.decode().rstrip('=')}.s"}
    del tokens["scope"]
    viewer = world.viewers.find(world.request, world.viewers.begin(tokens))
    assert viewer.scopes == {"ops.read", "dlq.redrive"}
