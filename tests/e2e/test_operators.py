"""Operators on the running system: every admin route, every scope, real tokens."""

import re
from uuid import uuid4

import httpx
import psycopg
import pytest

from local_stack.inventory import load_inventory
from local_stack.stack import Stack
from local_stack.waiting import wait_until
from payment_schemas.scopes import SCOPES, TABLE

pytestmark = pytest.mark.stack
READ, CHECK = "ops.read", "ops.read or the machine's check.read"
MACHINE = "machine"
BESIDE_THE_CORE = {
    "identity.write", "roles.grant", "compliance.write", "reviews.read", "reviews.write",
    "subjects.erase",
}  # fmt: skip
"""Scopes of services that this system does not start."""
PAYMENT = "11111111-1111-4111-8111-111111111111"
PROPOSALS = {
    "GET /admin/proposals": READ,
    "GET /admin/proposals/{proposal_id}": READ,
}
APPROVE = "POST /admin/proposals/{proposal_id}/approve"
CURSORS = {
    "GET /admin/cursors": READ,
    "POST /admin/cursors/{name}": "ops.write",
}
CONSUMED = {"GET /admin/consumed": CHECK}
CHECKED = {"GET /admin/check": CHECK, **CONSUMED}
RETENTION = {"GET /admin/retention": CHECK}
SHARED = {**CHECKED, **CURSORS, **RETENTION}
ROUTES = {
    "gateway": {},
    "confirm": {
        **SHARED,
        "GET /admin/payments": READ,
        "GET /admin/payments/activity": READ,
        "GET /admin/payments/export": CHECK,
        "GET /admin/payments/named": READ,
        "GET /admin/payments/search": READ,
        "GET /admin/accounts": READ,
        "POST /admin/accounts": "accounts.open",
        **PROPOSALS,
        APPROVE: "accounts.open",
        "POST /admin/answers": CHECK,
    },
    "risk": {**SHARED, "GET /admin/assessments": READ, "GET /admin/assessments/export": CHECK},
    "otp": {
        **SHARED,
        "GET /admin/challenges": READ,
        "GET /admin/challenges/export": CHECK,
        "GET /admin/codes": READ,
        "POST /admin/codes/unlock": "ops.write",
    },
    "settlement": {
        **SHARED,
        "GET /admin/instructions": READ,
        "GET /admin/instructions/export": CHECK,
        "GET /admin/instructions/open": READ,
        "GET /admin/instructions/search": READ,
        "GET /admin/cases": CHECK,
        "GET /admin/cases/{case_id}": READ,
        "POST /admin/cases/{case_id}/resolve": "cases.propose",
        "POST /admin/cases/{case_id}/approve": "cases.approve",
        "POST /admin/reconciliations": "ops.write",
        "GET /admin/statements": READ,
        "GET /admin/statements/{partner}/{day}/cases": READ,
        "GET /admin/partner-activity": READ,
        "GET /admin/partners": READ,
        "GET /admin/partners/{partner}": READ,
        "POST /admin/partners": "partners.write",
        "POST /admin/partners/{partner}/suspend": "partners.write",
        "POST /admin/partners/{partner}/resume": "partners.write",
        "POST /admin/partners/{partner}/keys": "partners.write",
        "POST /admin/partners/{partner}/replay": "partners.write",
    },
    "notification": {
        **SHARED,
        "GET /admin/deliveries": READ,
        "GET /admin/deliveries/export": CHECK,
        "POST /admin/contacts": "contacts.write",
        **PROPOSALS,
        APPROVE: "contacts.write",
        "POST /admin/contacts:query": MACHINE,
    },
    "audit": {
        **SHARED,
        "GET /admin/timeline": READ,
        "GET /admin/events": READ,
        "GET /admin/timelines": CHECK,
        "GET /admin/trees": READ,
        "GET /admin/leaves": READ,
        "GET /admin/leaves/{event_id}": READ,
    },
    "ops": {
        **CURSORS,
        **RETENTION,
        "POST /admin/partners/{partner}/rotations": "partners.write",
        "GET /admin/dead-letters": READ,
        "POST /admin/redrives": "dlq.redrive",
        "GET /admin/discards": READ,
        "POST /admin/discards": "dlq.redrive",
        **PROPOSALS,
        APPROVE: "dlq.redrive",
    },
}


@pytest.fixture
def http():
    with httpx.Client(timeout=20) as client:
        yield client


def token_with(http: httpx.Client, issuer: str, scope: str, operator: str = "alice") -> str:
    """Sign a development operator in, with one scope."""
    client = {"client_id": "countersign"}
    asked = {**client, "scope": scope}
    code = http.post(f"{issuer}/device_authorization", data=asked).json()
    form = {"user_code": code["user_code"], "operator": operator, "decision": "approve"}
    http.post(f"{issuer}/device", data=form).raise_for_status()
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    redeemed = {**client, "grant_type": grant, "device_code": code["device_code"]}
    issued: str = http.post(f"{issuer}/token", data=redeemed).json()["access_token"]
    return issued


def test_every_admin_route_names_its_scope_and_admits_no_other(
    system: Stack, http: httpx.Client
) -> None:
    issuer = system.description().url("issuer")
    tokens = {scope: token_with(http, issuer, scope) for scope in SCOPES}
    machine = system.credentials.read("internal-credential-ops")
    user = http.post(f"{issuer}/token", json={"sub": "alice", "scope": " ".join(SCOPES)}).json()
    core = load_inventory().core
    assert {one.name for one in core if not one.mock} == set(ROUTES)
    for service, expected in ROUTES.items():
        base = system.description().url(service)
        for route, needed in expected.items():
            method, path = route.split(" ")
            # No check of the whole history runs: the time is refused behind the scope.
            named = re.sub(r"\{(\w+)\}", PAYMENT, path)
            url = f"{base}{named}?since=x"

            def status(token: str = "", method: str = method, url: str = url) -> int:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                return http.request(method, url, headers=headers).status_code

            where = f"{service} {route}"
            assert status() == 401, where
            assert status(user["access_token"]) == 401, where
            assert (status(machine) == 401) is (needed != CHECK), where
            if needed == MACHINE:
                assert {status(token) for token in tokens.values()} == {401}, where
                continue
            admitted = {scope for scope, token in tokens.items() if status(token) != 403}
            assert admitted == {needed.split(" ")[0]}, where


def test_each_scope_of_operators_but_the_reserved_ones_admits_to_a_route() -> None:
    """docs/scopes.md is written from the table of scopes."""
    needed = {needs.split(" ")[0] for routes in ROUTES.values() for needs in routes.values()}
    reserved = {one.scope for one in TABLE if one.admits_to.startswith("reserved")}
    assert needed - {MACHINE} == set(SCOPES) - reserved - BESIDE_THE_CORE


def test_no_admin_route_is_missing_in_the_table(system: Stack, http: httpx.Client) -> None:
    for service, expected in ROUTES.items():
        paths = http.get(f"{system.description().url(service)}/openapi.json").json()["paths"]
        found = {
            f"{method.upper()} {path}"
            for path, methods in paths.items()
            for method in methods
            if path.startswith("/admin")
        }
        assert found == set(expected), service


def test_every_read_of_an_operator_is_in_the_audit_log_and_a_machines_is_not(
    system: Stack, http: httpx.Client
) -> None:
    token = token_with(http, system.description().url("issuer"), "ops.read", "carol")
    machine, marker = system.credentials.read("internal-credential-ops"), uuid4().hex
    reads = [
        (service + re.sub(r"\{\w+\}", PAYMENT, path), needed)
        for service, routes in ROUTES.items()
        for route, needed in routes.items()
        if route not in {*CURSORS, *PROPOSALS, *CONSUMED, *RETENTION} and needed in (READ, CHECK)
        for method, path in [route.split(" ")]
        if method == "GET"
    ]
    for place, needed in reads:
        service, _, path = place.partition("/")
        url = f"{system.description().url(service)}/{path}?marker={marker}&since=x"
        bearers = [token, machine] if needed == CHECK else [token]
        for bearer in bearers:
            http.get(url, headers={"Authorization": f"Bearer {bearer}"})

    rows = (
        "select metadata->>'about' from audit.audit_log"
        " where event = 'OPERATOR_READ' and metadata->>'query' like %s"
    )
    with psycopg.connect(system.description().admin_dsn) as connection:

        def found() -> list[str]:
            return [about for (about,) in connection.execute(rows, (f"%{marker}%",))]

        missing = "a read has no audit row"
        wait_until(lambda: len(found()) >= len(reads), seconds=20, otherwise=missing)
        assert sorted(found()) == sorted(place[place.index("/") :] for place, _ in reads)
