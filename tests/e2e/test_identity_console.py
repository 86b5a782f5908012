"""The console and identity in a real browser: clients and roles by two people; its sign-in."""

import json
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import psycopg
import pytest

from local_stack.stack import Stack
from testbed.accessibility import faults_of_view
from testbed.command import Command
from testbed.desk import Desk
from testkit.chromium import Chromium

pytestmark = pytest.mark.stack
PASSWORD = "correct horse battery"
WITH_NEW_ISSUER = ("ops", "confirm")
"""The services that get the new issuer; the others keep theirs, for the tests that follow."""
CLIENT = "countersign-console"


@pytest.fixture
async def console_client(system: Stack, countersign: Command, url: str) -> AsyncIterator[None]:
    """The console is an application of identity, as two operators have decided."""
    system.start_services(["identity"])
    redirect = ("--redirect", f"{url}/signed-in", "--sign-out", f"{url}/signed-out")
    scopes = [word for one in ("ops.read", "ops.write") for word in ("--scope", one)]
    status, proposed = await countersign.json(
        "clients", "add", CLIENT, "--name", "Console", "--for-operators", *redirect, *scopes
    )
    assert status == 0, proposed
    assert (await countersign("approve", proposed["proposal"], by="bob"))[0] == 0
    yield
    await countersign("clients", "disable", CLIENT)


@pytest.fixture
def identity_is_the_issuer(
    system: Stack, overrides: dict[str, dict[str, str]], console_client: None
) -> Iterator[None]:
    """Services trust identity's operators, as after `make restart`."""
    issuer = system.description().url("identity")
    settings = {
        "OPERATOR_ISSUER": issuer,
        "OPERATOR_JWKS_URL": f"{issuer}/.well-known/jwks.json",
    }
    for name in WITH_NEW_ISSUER:
        overrides.setdefault(name, {}).update(settings)
    system.refresh()
    try:
        yield
    finally:
        for name in WITH_NEW_ISSUER:
            for setting in settings:
                del overrides[name][setting]
        system.refresh()


def new_user(system: Stack) -> dict[str, str]:
    """Register a person."""
    account = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    gateway = system.description().url("gateway")
    reply = httpx.post(f"{gateway}/auth/register", json=account, timeout=20).json()
    return {**account, "user": reply["data"]["id"]}


def new_operator(system: Stack) -> dict[str, str]:
    """Register a person, and make it an operator as a seed of development does."""
    account = new_user(system)
    with psycopg.connect(system.description().owner_dsn("identity")) as owner:
        owner.execute(
            "insert into identity.operator_roles values (%s::uuid, array['viewer'])",
            (account["user"][-32:],),
        )
    return account


async def test_a_client_and_roles_are_added_by_two_people_in_the_pages(desk: Desk, system: Stack):
    system.start_services(["identity"])
    client_id = f"app-{uuid4().hex[:8]}"
    user = new_user(system)["user"]
    page = desk.page
    await desk.open("/access/clients/new")
    assert await desk.faults() == {}
    await page.evaluate(
        f"document.querySelector('[name=client_id]').value = {json.dumps(client_id)};"
        "document.querySelector('[name=redirect_uris]').value = 'https://app.example/in';"
        "document.querySelector('[name=\"customer-payment.confirm\"]').click()"
    )
    await page.follow("Propose", "button.primary")
    await page.sees(f"Proposed: {client_id}")
    await desk.settle()
    await page.evaluate(
        f"document.querySelector('[name=user]').value = {json.dumps(user)};"
        "document.querySelector('[name=role-viewer]').click()"
    )
    await page.follow("Propose roles", "button.primary")
    await page.sees(f"Proposed: {user}")
    assert await desk.faults() == {}
    await desk.become("bob")
    for about in (client_id, user):
        await desk.open("/access")
        await page.follow(f"about {about}", "a.button")
        assert about in await page.text()
        await page.follow("Approve", "button.primary")
        await page.sees("is as it was proposed")
    await desk.settle()
    shown = await page.text()
    assert client_id in shown
    assert "https://app.example/in" in shown
    for state, outcome in (("disable", "gets no more tokens"), ("enable", "gets tokens again")):
        await page.follow(selector=f"form[action='/access/clients/{client_id}/{state}'] button")
        await page.sees(f"{client_id} {outcome}")
        await desk.settle()
    await desk.become("alice")
    # A page that asks for nothing while the next test restarts the console.
    await desk.open("/payments")


async def test_an_operator_signs_in_at_identity_and_comes_to_the_first_page(
    browser: Chromium, url: str, system: Stack, identity_is_the_issuer: None
):
    account = new_operator(system)
    async with browser.tab() as page:
        await page.look(width=1280, height=900)
        desk = Desk(page, url)
        await page.open(f"{url}/")
        await page.sees("Sign in")
        assert "/authorize" in await page.evaluate("location.pathname")
        assert "Console" in await page.text()
        assert await faults_of_view(page, width=360, dark=True) == []
        await page.look(width=1280, height=900)
        fill = "document.querySelector('[name={}]').value = {}"
        await page.evaluate(fill.format("email", json.dumps(account["email"])))
        await page.evaluate(fill.format("password", json.dumps("a wrong password")))
        await page.follow("Sign in and allow", "button.act")
        await page.sees("E-mail or password is wrong")
        await page.evaluate(fill.format("password", json.dumps(PASSWORD)))
        await page.follow("Sign in and allow", "button.act")
        await page.sees("Now")
        await desk.settle()
        assert await page.evaluate("location.pathname") == "/now"
        shown = await page.text()
        # Confirm has admitted identity's operator.
        assert "All outcomes" in shown
        await page.tap(selector=".who summary")
        await page.sees(account["user"])
        # The role is a viewer's: there is nothing to act with.
        await page.sees("read only")
        await page.follow(selector=".menu form button")
        await page.sees("Signed out")
        page.errors[:] = [one for one in page.errors if "/authorize" not in one]
        assert page.faults + page.errors == []
