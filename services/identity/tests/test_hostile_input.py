"""Whatever is sent, no route fails: it refuses with the name of the field, or says no."""

import json

import pytest
from identity_world import PASSWORD, bearer

from testkit.operators import signed_in

pytestmark = pytest.mark.stack
OPERATOR = signed_in("identity.write", "roles.grant", "ops.read")
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FIELDS = {
    "/auth/register": ["email", "password"],
    "/auth/login": ["email", "password"],
    "/auth/refresh": ["refreshToken"],
    "/auth/logout": ["refreshToken"],
    "/auth/password": ["currentPassword", "newPassword"],
    "/api/v1/auth/token": ["clientId", "clientSecret"],
    "/admin/clients": ["client_id", "scopes", "secrets_sha256"],
    "/admin/users/cs_user_1/roles": ["roles"],
}
VALUES = ["\x00", "a\x00b@c.de", "\ud800", "a\ud800@c.de", "\ud800" * 9, "a@b.c\x85d", "x" * 300]
VALUES += ["", "\u2028@b.cd", 5, None, [], {}, True, 1e400]
BODIES = [b"", b"[]", b"null", b"\xff", b"{", b"[" * 9000, b'{"a":' * 2000]
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
FORMS = [
    b"",
    b"\xff",
    b"a=b&a=c",
    b"grant_type=client_credentials&client_id=%00&client_secret=%ff",
    b"grant_type=client_credentials&client_id=a&client_secret=b&scope=%00",
    b"&".join(b"a%d=1" % number for number in range(50)),
]


@pytest.mark.parametrize("path", FIELDS)
async def test_no_value_of_a_field_makes_a_route_fail(world, path):
    who = dict(OPERATOR) if path.startswith("/admin") else bearer(await world.signed_in())
    good = {"email": "good@example.com"}
    for name in FIELDS[path]:
        for value in VALUES:
            body = {one: good.get(one, PASSWORD) for one in FIELDS[path]} | {name: value}
            content = json.dumps(body)
            reply = await world.http.post(path, content=content, headers={**who, **JSON})
            assert reply.status_code < 500, (name, value, reply.text)
    for content in BODIES:
        reply = await world.http.post(path, content=content, headers={**who, **JSON})
        assert reply.status_code == 400, (content[:9], reply.text)


@pytest.mark.parametrize(
    "authorization", ["", "Basic", "Basic !!!", "Basic /w==", "Basic OjA=", "Basic AAA6AA=="]
)
async def test_no_form_and_no_header_makes_the_token_route_fail(world, authorization):
    for content in FORMS:
        headers = {**FORM, "Authorization": authorization}
        reply = await world.http.post("/api/v1/auth/token", content=content, headers=headers)
        assert reply.status_code in {400, 401}, (content, reply.text)
        assert reply.json()["error"].startswith(("invalid_", "unsupported_"))


@pytest.mark.parametrize("path", ["/token", "/revoke", "/device_authorization"])
async def test_no_form_makes_a_route_of_applications_fail(world, path):
    grants = ["authorization_code", "refresh_token", GRANT, "x"]
    named = [
        f"client_id=countersign&grant_type={grant}&{field}={value}".encode()
        for grant in grants
        for field in ("code", "refresh_token", "device_code", "token", "scope", "code_verifier")
        for value in ("", "%00", "%ff", "%ed%a0%80", "x" * 3000)
    ]
    for content in [*FORMS, *named]:
        reply = await world.http.post(path, content=content, headers=FORM)
        assert reply.status_code < 500, (content, reply.text)


@pytest.mark.parametrize("path", ["/authorize", "/device", "/end-session"])
async def test_no_form_makes_a_page_fail(world, path):
    sent = {**FORM, "Sec-Fetch-Site": "same-origin"}
    for content in [*FORMS, b"user_code=%00&email=%00", b"client_id=%00&redirect_uri=%ff"]:
        reply = await world.http.post(path, content=content, headers=sent)
        assert reply.status_code in {400, 403}, (content, reply.text)
        query = content.decode("latin-1").replace("\xff", "%ff")
        assert (await world.http.get(f"{path}?{query}")).status_code in {200, 400}


@pytest.mark.parametrize("name", ["%00", "x%0Ay", "%F0%9F%98%80", "cs_user_" + "0" * 32])
async def test_no_name_in_a_path_makes_an_operators_route_fail(world, name):
    for method, path in [
        ("GET", f"/admin/users/{name}"),
        ("POST", f"/admin/users/{name}/disable"),
        ("POST", f"/admin/clients/{name}/disable"),
        ("GET", f"/admin/clients?after={name}"),
    ]:
        reply = await world.http.request(method, path, headers=OPERATOR)
        allowed = {200, 400} if "?" in path else {404}
        assert reply.status_code in allowed, (path, reply.text)
