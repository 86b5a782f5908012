"""Any course of one session, on the real database, against a model of what may happen.

Two parties hold tokens of the session and use them in any order, with losses and delays. Whatever
they do: at most one token is unused; only the newest token, or its predecessor within seconds, is
accepted; and any other use of a token that was issued ends the session for everybody.
"""

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

pytestmark = pytest.mark.stack
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("newest"), st.just(0)),
        st.tuples(st.just("earlier"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.sampled_from([5, 29, 31])),
        st.tuples(st.just("logout"), st.just(0)),
    ),
    min_size=4,
    max_size=10,
)


@dataclass
class Model:
    """The tokens of a session in their order, and what must come of the next use."""

    tokens: list[str]
    now_s: float = 0
    used_s: dict[str, float] = field(default_factory=dict)
    is_over: bool = False

    def expect(self, token):
        """Return whether the use is accepted, and whether it makes a new token."""
        if self.is_over:
            return False, False
        if token not in self.used_s:
            self.used_s[token] = self.now_s
            return True, True
        is_last_used = token == self.tokens[-2]
        if is_last_used and self.now_s < self.used_s[token] + 30:
            return True, False
        self.is_over = True
        return False, False


@given(steps=STEPS)
@examples(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
async def test_any_course_of_a_session_is_as_the_model_says(world, steps):
    world.clock.ahead = timedelta()
    model = Model([(await world.signed_in())["refreshToken"]])
    for kind, number in steps:
        if kind == "wait":
            model.now_s += number
            world.clock.ahead += timedelta(seconds=number)
        elif kind == "logout":
            await world.post("/auth/logout", {"refreshToken": model.tokens[-1]})
            model.is_over = True
        else:
            token = (
                model.tokens[-1]
                if not number
                else model.tokens[max(0, len(model.tokens) - 1 - number)]
            )
            await used(world, model, token)
    unused = "select count(*) from refresh_token where used_at is null group by session_id"
    assert {count for (count,) in world.rows(unused)} == {1}


async def used(world, model, token):
    """Use a token, and compare what comes of it with the model."""
    accepted, is_new = model.expect(token)
    reply = await world.refresh(token)
    assert (reply.status_code == 200) is accepted
    with contextlib.suppress(KeyError):
        issued = reply.json()["data"]["refreshToken"]
        assert (issued not in model.tokens) is is_new
        if is_new:
            model.tokens.append(issued)
