"""The authorization code flow by Authlib, a client that nobody here wrote, on the real service."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import jwt
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client

# Authlib is built on httpx2 where that is installed, else on httpx.
from authlib.integrations.httpx_client._compat import httpx2 as its_httpx
from identity_world import PASSWORD, Browser, Page, claims_of, client_added, query_of

from payment_schemas.events.record import AuditRecorded
from testbed.service import published_events

pytestmark = pytest.mark.stack
RETURN = "https://app.example/signed-in"
SECRET = "s" * 43
SCOPE = "openid offline_access payment.confirm"
PUBLIC = {
    "client_id": "acme-app",
    "name": "Acme & Co",
    "scopes": ["payment.confirm", "payment.read"],
    "grants": ["authorization_code"],
    "redirect_uris": [RETURN],
    "sign_out_uris": ["https://app.example/"],
}
CONFIDENTIAL = PUBLIC | {
    "client_id": "acme-web",
    "secrets_sha256": [hashlib.sha256(SECRET.encode()).hexdigest()],
}


@pytest.fixture
async def apps(world):
    """A public and a confidential application, added once a database."""
    known = {name for (name,) in world.rows("select id from client")}
    for fields in (PUBLIC, CONFIDENTIAL):
        if fields["client_id"] not in known:
            await client_added(world, **fields)


@pytest.fixture
async def person(world, apps):
    """A new user at a browser."""
    return Browser(world.http, await world.registered())


class App:
    """An application by Authlib: it makes state, nonce and verifier, and redeems the code."""

    def __init__(self, world, library, found):
        self.world, self.library, self.found = world, library, found
        self.verifier, self.nonce = generate_token(48), generate_token(20)

    def address(self, **changes):
        url, self.state = self.library.create_authorization_url(
            self.found["authorization_endpoint"],
            **{"code_verifier": self.verifier, "nonce": self.nonce, **changes},
        )
        return url.removeprefix(self.world.settings.token_issuer)

    async def redeem(self, reply, **changes):
        return await self.library.fetch_token(
            self.found["token_endpoint"],
            authorization_response=reply.headers["location"],
            **{"code_verifier": self.verifier, "state": self.state, **changes},
        )


@asynccontextmanager
async def app_of(world, client_id="acme-app", secret=None):
    """Run an application that reads the description of the issuer."""
    found = (await world.http.get("/.well-known/openid-configuration")).json()
    issuer = world.settings.token_issuer
    transport = its_httpx.ASGITransport(world.http._transport.app)
    async with AsyncOAuth2Client(
        client_id,
        secret,
        scope=SCOPE,
        redirect_uri=RETURN,
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        transport=transport,
        base_url=issuer,
    ) as library:
        yield App(world, library, found)


@pytest.mark.parametrize(("client_id", "secret"), [("acme-app", None), ("acme-web", SECRET)])
async def test_a_person_signs_in_and_the_application_goes_on_by_refreshes(
    world, person, client_id, secret
):
    async with app_of(world, client_id, secret) as app:
        page = await person.open(app.address())
        back = await person.send(page, "/authorize")
        tokens = await app.redeem(back)
        renewed = await app.library.refresh_token(
            app.found["token_endpoint"], tokens["refresh_token"]
        )

    address, query = query_of(back)
    assert (back.status_code, address) == (303, RETURN)
    assert (query["state"], query["iss"]) == (app.state, world.settings.token_issuer)
    claims = claims_of(tokens["access_token"])
    assert (claims["scope"], claims["aud"]) == ("payment.confirm", "countersign")
    assert claims["client_id"] == client_id
    (key,) = (await world.http.get("/.well-known/jwks.json")).json()["keys"]
    named = jwt.decode(
        tokens["id_token"],
        jwt.PyJWK(key),
        ["EdDSA"],
        audience=client_id,
        issuer=world.settings.token_issuer,
        options={"require": ["exp", "iat", "auth_time"]},
    )
    assert named["nonce"] == app.nonce
    assert (named["sub"], named["sid"]) == (claims["sub"], claims["sid"])
    assert renewed["refresh_token"] != tokens["refresh_token"]


async def test_the_page_says_who_asks_for_what_and_loads_nothing(world, person):
    async with app_of(world) as app:
        page = await person.open(app.address())
    text = Page(page.text).text
    assert "Sign in to Acme & Co" in text
    assert "confirm payments from own accounts" in text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("form-action 'self' https://app.example")
    assert (page.headers["cache-control"], "set-cookie" in page.headers) == ("no-store", False)
    assert (await world.http.get("/auth/style.css")).headers["content-type"].startswith("text/css")


async def test_an_unknown_address_and_a_wrong_password_get_the_same_page(world, person):
    async with app_of(world) as app:
        page = await person.open(app.address())
        wrong = await person.send(page, "/authorize", password="wrong")
        unknown = await person.send(page, "/authorize", password="wrong", email="no@example.com")
        invalid = await person.send(page, "/authorize", email="<script>", password="")
    assert (wrong.status_code, unknown.status_code, invalid.status_code) == (401, 401, 401)
    assert wrong.text.replace(person.email, "") == unknown.text.replace("no@example.com", "")
    assert "<script>" not in invalid.text
    assert "Location" not in wrong.headers


async def test_sign_ins_by_the_page_count_with_those_by_the_route(world, person):
    most = world.settings.logins_per_account
    async with app_of(world) as app:
        page = await person.open(app.address())
        for number in range(most):
            if number % 2:
                await world.login(person.email, "wrong")
            else:
                await person.send(page, "/authorize", password="wrong")
        refused = await person.send(page, "/authorize")
    assert refused.status_code == 429
    assert "Wait 15 minutes" in refused.text
    assert (await world.login(person.email)).status_code == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {},
    ],
)
async def test_a_form_of_another_site_signs_nobody_in(world, person, headers):
    async with app_of(world) as app:
        page = await person.open(app.address())
    person.headers = headers
    assert (await person.send(page, "/authorize")).status_code == 403
    person.headers = {"Origin": world.settings.token_issuer}
    assert (await person.send(page, "/authorize")).status_code == 303


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "https://app.example/"},
        {"client_id": "acme-web", "client_secret": SECRET},
    ],
)
async def test_a_code_is_bound_to_verifier_address_and_client_and_used_up_by_a_wrong_one(
    world, person, changes
):
    async with app_of(world) as app:
        _, query = query_of(await person.send(await person.open(app.address()), "/authorize"))
    right = {
        "grant_type": "authorization_code",
        "client_id": "acme-app",
        "code": query["code"],
        "redirect_uri": RETURN,
        "code_verifier": app.verifier,
    }
    for form in (right | changes, right):
        refused = await world.http.post("/token", data=form)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_a_code_that_is_used_twice_ends_what_it_gave(world, person, stack):
    async with app_of(world) as app:
        back = await person.send(await person.open(app.address()), "/authorize")
        tokens = await app.redeem(back)
        form = {
            "grant_type": "authorization_code",
            "client_id": "acme-app",
            "code": query_of(back)[1]["code"],
            "redirect_uri": RETURN,
            "code_verifier": app.verifier,
        }
        again = await world.http.post("/token", data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    refresh = {
        "grant_type": "refresh_token",
        "client_id": "acme-app",
        "refresh_token": tokens["refresh_token"],
    }
    assert (await world.http.post("/token", data=refresh)).json()["error"] == "invalid_grant"
    claims = claims_of(tokens["access_token"])
    actor = f"{claims['iss']}|{claims['sub']}"
    records = await published_events(stack.brokers, AuditRecorded, actor, 3)
    assert [record.action for record in records] == [
        "USER_REGISTERED", "SIGNED_IN", "AUTHORIZATION_CODE_REUSED",
    ]  # fmt: skip
    assert records[2].about == records[1].about == claims["sid"]


async def test_of_many_at_once_one_redeems_a_code(world, person):
    async with app_of(world) as app:
        _, query = query_of(await person.send(await person.open(app.address()), "/authorize"))
    form = {
        "grant_type": "authorization_code",
        "client_id": "acme-app",
        "code": query["code"],
        "redirect_uri": RETURN,
        "code_verifier": app.verifier,
    }
    replies = await asyncio.gather(*[world.http.post("/token", data=form) for _ in range(4)])
    assert sorted(reply.status_code for reply in replies) == [200, 400, 400, 400]


async def test_a_code_lives_for_a_minute(world, person):
    async with app_of(world) as app:
        back = await person.send(await person.open(app.address()), "/authorize")
        world.clock.ahead = timedelta(seconds=61)
        with pytest.raises(Exception, match="invalid_grant"):
            await app.redeem(back)


async def test_who_denies_or_has_another_password_by_then_gives_nothing(world, person):
    async with app_of(world) as app:
        page = await person.open(app.address())
        denied = await person.send(page, "/authorize", decision="deny")
        assert query_of(denied)[1]["error"] == "access_denied"
        back = await person.send(page, "/authorize")
        mine = (await world.login(person.email)).json()["data"]
        change = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
        await world.post("/auth/password", change, Authorization=f"Bearer {mine['token']}")
        with pytest.raises(Exception, match="invalid_grant"):
            await app.redeem(back)


async def test_a_request_that_is_not_registered_stays_on_the_page(world, person):
    async with app_of(world) as app:
        good = app.address()
        for bad in (
            good.replace("acme-app", "nobody"),
            good.replace("signed-in", "elsewhere"),
            good + "&client_id=acme-app",
        ):
            reply = await person.open(bad)
            assert (reply.status_code, "location" in reply.headers) == (400, False)
        plain = await person.open(good.replace("S256", "plain"))
        assert query_of(plain)[1]["error"] == "invalid_request"
        silent = await person.open(good + "&prompt=none")
        assert query_of(silent)[1]["error"] == "login_required"


async def test_an_applications_refresh_token_is_its_own(world, person):
    async with app_of(world, "acme-web", SECRET) as app:
        tokens = await app.redeem(await person.send(await person.open(app.address()), "/authorize"))
    token = tokens["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    for stolen in (form | {"client_id": "acme-app"}, form | {"client_id": "acme-web"}):
        assert (await world.http.post("/token", data=stolen)).status_code in {400, 401}
    assert (await world.refresh(token)).status_code == 401
    by_client = httpx.BasicAuth("acme-web", SECRET)
    found = await world.http.post("/token", data=form, auth=by_client)
    assert found.status_code == 200
    listed = await world.http.post(
        "/revoke", data={"token": found.json()["refresh_token"]}, auth=by_client
    )
    assert listed.status_code == 200
    form["refresh_token"] = found.json()["refresh_token"]
    assert (await world.http.post("/token", data=form, auth=by_client)).status_code == 400


async def test_an_application_ends_the_session_of_its_person_and_no_other_site_can(world, person):
    async with app_of(world) as app:
        tokens = await app.redeem(await person.send(await person.open(app.address()), "/authorize"))
        end = app.found["end_session_endpoint"].removeprefix(world.settings.token_issuer)
    back = {"post_logout_redirect_uri": "https://app.example/", "state": "s"}
    for wrong in (
        {},
        back,
        back | {"id_token_hint": tokens["access_token"]},
        back | {"id_token_hint": tokens["id_token"][:-6] + "AAAAAA"},
        {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://evil.example/"},
        {"id_token_hint": tokens["id_token"], "client_id": "acme-web"},
    ):
        assert (await world.http.get(end, params=wrong)).status_code == 400
    world.clock.ahead = timedelta(hours=1)
    hint = {"id_token_hint": tokens["id_token"]}
    done = await world.http.get(end, params=back | hint)
    assert done.headers["location"] == "https://app.example/?state=s"
    assert (await world.http.post(end, data=hint)).status_code == 200
    form = {"grant_type": "refresh_token", "client_id": "acme-app"}
    form["refresh_token"] = tokens["refresh_token"]
    assert (await world.http.post("/token", data=form)).status_code == 400


async def test_the_owner_sees_the_application_among_the_sessions_and_ends_it(world, person):
    async with app_of(world) as app:
        tokens = await app.redeem(await person.send(await person.open(app.address()), "/authorize"))
        mine = (await world.login(person.email)).json()["data"]
        bearer = {"Authorization": f"Bearer {mine['token']}"}
        listed = (await world.http.get("/auth/sessions", headers=bearer)).json()["data"]["sessions"]
        (named,) = [one["id"] for one in listed if one["device"] == "Acme & Co"]
        await world.http.delete(f"/auth/sessions/{named}", headers=bearer)
        with pytest.raises(Exception, match="invalid_grant"):
            await app.library.refresh_token(app.found["token_endpoint"], tokens["refresh_token"])


async def test_nothing_that_is_stored_opens_anything(world, person):
    async with app_of(world) as app:
        back = await person.send(await person.open(app.address()), "/authorize")
    code = query_of(back)[1]["code"]
    stored = str(world.rows("select row_to_json(c)::text from authorization_code c"))
    assert code not in stored
    assert app.verifier not in stored
