"""Operators: who is admitted to a route, and by which identity the audit log knows a person."""

import hashlib
import json
from typing import Annotated

import httpx
import pytest
from fastapi import Depends

from payment_schemas.scopes import SCOPES
from service_runtime.admin import check_router
from service_runtime.credentials import Credentials
from service_runtime.edge import Access, Admission
from service_runtime.edge.limits import MemoryLimits
from service_runtime.edge.settings import EdgeSettings
from service_runtime.errors import Unavailable
from service_runtime.operators import CHECK, MOST_CHARACTERS, Operators
from service_runtime.settings import HttpSettings, load
from service_runtime.tokens import TokenRules, TokenVerifier
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock
from testkit.operators import OPERATOR_AUDIENCE, actor, operators, signed_in
from testkit.tokens import AUDIENCE, ISSUER, MemoryKeys, token

SECRET = "the check's secret"
MACHINES = json.dumps(
    {
        name: {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": [scope]}
        for name, secret, scope in (("ops", SECRET, CHECK), ("other", "other", "metrics.read"))
    }
)


def client(admitting=None, admission=None):
    admitting = admitting or operators(MACHINES)
    app = create_app("probe", {}, SteadyClock(NOON))

    @app.get("/admin/people")
    async def people(who: Annotated[str, Depends(admitting.require("cases.propose"))]) -> str:
        return who

    may_check = admitting.require("ops.read", or_machine=CHECK)

    @app.get("/admin/check")
    async def check(who: Annotated[str, Depends(may_check)]) -> str:
        return who

    if admission is not None:
        may_pay = admission.require(Access("payment.confirm", per_minute=60))

        @app.get("/pay")
        async def pay(caller: Annotated[object, Depends(may_pay)]) -> str:
            return caller.user_id

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe")


def bearing(issued):
    return {"Authorization": f"Bearer {issued}"}


async def test_an_operator_is_known_by_issuer_and_subject():
    async with client() as http:
        answer = await http.get("/admin/people", headers=signed_in("cases.propose", name="bob"))

    assert (answer.status_code, answer.json()) == (200, actor("bob"))


async def test_a_route_admits_its_scope_alone():
    async with client() as http:
        for scope in SCOPES:
            answer = await http.get("/admin/people", headers=signed_in(scope))
            assert answer.status_code == (200 if scope == "cases.propose" else 403), scope
        assert (await http.get("/admin/people", headers=signed_in())).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": "https://another.test"}, id="another issuer"),
        pytest.param({"aud": AUDIENCE}, id="a user's token"),
        pytest.param({"sub": "alice "}, id="space behind the name"),
        pytest.param({"sub": "al\u0456ce"}, id="a letter of another alphabet"),
        pytest.param({"sub": "alice\u00a0"}, id="no-break space"),
        pytest.param({"sub": "a" * MOST_CHARACTERS}, id="longer than an actor may be"),
        pytest.param({"exp": 1}, id="expired"),
    ],
)
async def test_what_is_no_operators_token_is_refused(changes):
    issued = token(
        **{"aud": OPERATOR_AUDIENCE, "scope": "cases.propose", "sub": "alice", **changes}
    )
    async with client() as http:
        answer = await http.get("/admin/people", headers=bearing(issued))

    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_operators_token_is_no_users_token():
    verifier = TokenVerifier(MemoryKeys(), TokenRules(ISSUER, AUDIENCE))
    admission = Admission(verifier, MemoryLimits(lambda: 0.0), failures_per_minute=100)
    everything = signed_in(*SCOPES, "payment.confirm")
    async with client(admission=admission) as http:
        assert (await http.get("/pay", headers=everything)).status_code == 401
        assert (await http.get("/pay", headers=bearing(token()))).status_code == 200


async def test_the_checking_machine_reads_the_check_and_nothing_else():
    async with client() as http:
        assert (await http.get("/admin/check", headers=bearing(SECRET))).json() == "ops"
        assert (await http.get("/admin/check", headers=signed_in("ops.read"))).json() == actor()
        assert (await http.get("/admin/check", headers=bearing("other"))).status_code == 401
        assert (await http.get("/admin/people", headers=bearing(SECRET))).status_code == 401


async def test_without_an_issuer_no_operator_is_admitted():
    nobody = Operators(None, "", Credentials(MACHINES))
    async with client(nobody) as http:
        answer = await http.get("/admin/people", headers=signed_in("cases.propose"))

    assert answer.status_code == 401
    assert "OPERATOR_ISSUER" in answer.json()["details"]


@pytest.mark.parametrize(
    ("kind", "environment", "told"),
    [
        (HttpSettings, {"OPERATOR_ISSUER": "https://one"}, "set both, or neither"),
        (HttpSettings, {"OPERATOR_JWKS_URL": "https://one"}, "set both, or neither"),
        (EdgeSettings, {"OPERATOR_AUDIENCE": "countersign"}, "must differ from TOKEN_AUDIENCE"),
    ],
)
def test_a_trust_that_cannot_work_stops_the_start(monkeypatch, capsys, kind, environment, told):
    edge = {"REDIS_URL": "r", "JWKS_URL": "j", "TOKEN_ISSUER": "i", "TOKEN_AUDIENCE": "countersign"}
    for name, value in {"PORT": "1", **edge, **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(kind)
    assert told in capsys.readouterr().err


async def test_an_operators_read_is_recorded_before_it_happens_and_a_machines_is_not():
    admitting, noted = operators(MACHINES), []

    async def note(request, who):
        noted.append((request.url.path, who))
        if request.url.query:
            raise Unavailable("the database is down")

    admitting.note_read = note
    app = create_app("probe", {}, SteadyClock(NOON))
    router = check_router(admitting)

    @router.get("/people")
    async def people():
        noted.append("read")
        return {}

    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as http:
        await http.get("/admin/people", headers=bearing(SECRET))
        await http.get("/admin/people", headers=signed_in("ops.read"))
        lost = await http.get("/admin/people?x=1", headers=signed_in("ops.read"))

    assert noted == [
        "read",
        ("/admin/people", actor()),
        "read",
        ("/admin/people", actor()),
    ]
    assert lost.status_code == 503
