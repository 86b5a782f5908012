"""A user's steps at the identity service."""

from html.parser import HTMLParser
from urllib.parse import parse_qsl
from uuid import uuid4

import jwt
import psycopg

from testkit.operators import approval_of, signed_in

PASSWORD = "correct horse battery"


class World:
    """The routes of one process, the clock that it reads, and its database."""

    def __init__(self, http, clock, database, settings):
        self.http = http
        self.clock = clock
        self.database = database
        self.settings = settings

    async def post(self, path, body, **headers):
        return await self.http.post(path, json=body, headers=headers)

    async def registered(self):
        """Return the address of a new user."""
        email = f"ada-{uuid4().hex}@example.com"
        reply = await self.post("/auth/register", {"email": email, "password": PASSWORD})
        assert reply.status_code == 201, reply.text
        return email

    async def login(self, email, password=PASSWORD, **more):
        return await self.post("/auth/login", {"email": email, "password": password, **more})

    async def signed_in(self):
        """Return the tokens of a new user."""
        return (await self.login(await self.registered())).json()["data"]

    async def refresh(self, token):
        return await self.post("/auth/refresh", {"refreshToken": token})

    def rows(self, query, *values):
        """Return rows, as the database's administrator reads them."""
        with psycopg.connect(self.database.admin_dsn) as admin:
            admin.execute("set search_path = identity")
            return admin.execute(query, values).fetchall()


def bearer(tokens):
    """Return the header of who is signed in."""
    return {"Authorization": f"Bearer {tokens['token']}"}


def claims_of(token):
    """Return the claims of a token, not verified."""
    return jwt.decode(token, options={"verify_signature": False})


class Page(HTMLParser):
    """A page, as a browser reads it: its text, and the fields of its first form."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.fields, self.text = 0, {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.forms += tag == "form"
        if tag == "input" and self.forms == 1 and found["type"] == "hidden":
            self.fields[found["name"]] = found["value"]

    def handle_data(self, text):
        self.text += text


class Browser:
    """A person at a browser: it sends forms as an own page does."""

    def __init__(self, http, email, password=PASSWORD):
        self.http, self.email, self.password = http, email, password
        self.headers = {"Sec-Fetch-Site": "same-origin"}

    async def open(self, address):
        return await self.http.get(address)

    async def send(self, reply, path, decision="approve", **changes):
        """Send the form of a page."""
        person = {"email": self.email, "password": self.password, "decision": decision}
        form = Page(reply.text).fields | person | changes
        return await self.http.post(path, data=form, headers=self.headers)


async def client_added(world, **fields):
    """Let two operators add a client."""
    alice, bob = (signed_in("identity.write", name=name) for name in ("alice", "bob"))
    proposed = await world.http.post("/admin/clients", json=fields, headers=alice)
    assert proposed.status_code == 202, proposed.text
    done = await world.http.post(**approval_of(proposed.json()), headers=bob)
    assert done.status_code == 200, done.text


def query_of(reply):
    """Return address and parameters that a response sends the browser to."""
    address, _, query = reply.headers["location"].partition("?")
    return address, dict(parse_qsl(query))
