"""A user's steps at the identity service."""

from uuid import uuid4

import jwt
import psycopg

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
