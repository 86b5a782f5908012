"""Endpoints over HTTP: their owners alone see them, and a secret is shown once."""

import psycopg
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from testkit.operators import signed_in
from testkit.tokens import token
from webhooks.routes import PATH, described

pytestmark = pytest.mark.stack
URL = "https://receiver.example/hooks"


async def test_an_endpoint_is_added_changed_listed_and_deleted_by_its_owner_alone(world):
    http = world.as_user("usr-crud")
    made = await world.add(URL, description="shop")
    address = f"{PATH}/{made['id']}"
    assert made["secret"].startswith("whsec_")
    shown = await http.get(address)
    assert "secret" not in shown.json()
    assert shown.headers["etag"] == '"1"'
    seen = {"If-Match": '"1"'}
    found = [await http.patch(address, json={"description": text}, headers=seen) for text in "ab"]
    assert [one.status_code for one in found] == [200, 412]

    world.as_user("usr-other")
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test")]:
        body = {} if method == "PATCH" else None
        assert (await http.request(method, address + path, json=body)).status_code == 404
    assert (await http.get(f"{address}/deliveries")).status_code == 404
    assert (await http.get(PATH)).json() == {"endpoints": [], "next": None}

    world.as_user("usr-crud")
    (listed,) = (await http.get(PATH)).json()["endpoints"]
    assert (listed["id"], listed["description"]) == (made["id"], "a")
    assert (await http.delete(address)).status_code == 204
    assert (await http.get(address)).status_code == 404


async def test_a_repeated_request_adds_no_second_endpoint_and_no_secret_is_stored(
    world, webhooks_database
):
    world.as_user("usr-once")
    keyed = {"Idempotency-Key": "k"}
    made, again = [await world.http.post(PATH, json={"url": URL}, headers=keyed) for _ in range(2)]
    assert (made.status_code, again.status_code) == (201, 409)
    secret = made.json()["secret"]
    with psycopg.connect(webhooks_database.owner_dsn) as owner:
        tables = owner.execute("select tablename from pg_tables where schemaname = 'webhooks'")
        for (table,) in tables.fetchall():
            rows = owner.execute(f"select t::text from {table} as t").fetchall()  # noqa: S608
            assert not [row for (row,) in rows if secret in row or secret[6:] in row], table


async def test_an_endpoint_with_a_key_pair_shows_its_public_key_and_never_the_other(world):
    made = await world.add("https://receiver.example/pair", scheme="ed25519")
    shown = (await world.http.get(f"{PATH}/{made['id']}")).json()
    assert made["public_key"] == shown["public_key"]
    assert made["public_key"].startswith("whpk_")
    assert "whsk_" not in str(made) + str(shown)


async def test_operators_see_whose_endpoints_there_are_and_of_an_address_the_host_alone(world):
    made = await world.add("https://receiver.example/hooks?key=of-the-owner")
    assert (await world.http.get("/admin/endpoints")).status_code == 401
    reader = signed_in("ops.read")
    found, after = [], None
    while after is not None or not found:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await world.http.get("/admin/endpoints", params=query, headers=reader)).json()
        found, after = found + page["endpoints"], page["next"]
    (one,) = [row for row in found if row["id"] == made["id"]]
    assert (one["user_id"], one["host"], one["is_on"]) == ("usr-456", "receiver.example", True)
    assert "of-the-owner" not in str(found)
    assert made["secret"] not in str(found)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Invalid field: url"),
        ({"url": "https://10.0.0.1/"}, "Invalid field: url"),
        ({"url": "gopher://a.com"}, "Invalid field: url"),
        ({"url": URL, "event_types": []}, "Invalid field: event_types"),
        ({"url": URL, "event_types": ["payment.eaten"]}, "Invalid field: event_types.0"),
        ({"url": URL, "scheme": "none"}, "Invalid field: scheme"),
        ({"url": URL, "user_id": "usr-9"}, "Invalid field: user_id"),
    ],
)
async def test_a_wrong_field_is_named(world, body, error):
    response = await world.http.post(PATH, json=body)
    assert (response.status_code, response.json()["error"]) == (400, error)


async def test_a_user_has_a_bounded_number_of_endpoints(world):
    world.as_user("usr-many")
    for number in range(10):
        await world.add(f"{URL}/{number}")
    response = await world.http.post(PATH, json={"url": f"{URL}/more"})
    assert (response.status_code, response.json()["error"]) == (409, "Too many endpoints")


async def test_without_the_scope_nothing_is_shown(world):
    world.http.headers["Authorization"] = f"Bearer {token(scope='payment.confirm')}"
    response = await world.http.get(PATH)
    assert (response.status_code, response.json()["details"]) == (
        403,
        "Scope webhooks.write required",
    )


async def test_replies_are_those_of_the_description(world):
    app = FastAPI()
    app.include_router(described())
    document = app.openapi()

    def hold(response, path, method):
        found = document["paths"][PATH + path][method]["responses"][str(response.status_code)]
        schema = {
            **found["content"]["application/json"]["schema"],
            "components": document["components"],
        }
        Draft202012Validator(schema).validate(response.json())

    http = world.as_user("usr-described")
    made = await http.post(PATH, json={"url": URL})
    address = f"{PATH}/{made.json()['id']}"
    one = "/{endpoint_id}"
    hold(made, "", "post")
    hold(await http.post(PATH, json={"url": "x"}), "", "post")
    hold(await http.get(PATH), "", "get")
    hold(await http.get(address), one, "get")
    hold(await http.get(f"{address[:-1]}x"), one, "get")
    hold(await http.patch(address, json={"is_on": False}), one, "patch")
    hold(await http.post(f"{address}/rotate-secret", json={}), f"{one}/rotate-secret", "post")
    hold(await http.post(f"{address}/test"), f"{one}/test", "post")
    hold(await http.get(f"{address}/deliveries"), f"{one}/deliveries", "get")
