"""The gateway's routes on memory twins, with real signed tokens."""

from dataclasses import dataclass, field
from functools import partial

import httpx
import orjson
from gateway_twins import MemoryConfirmation, MemoryKeySet, MemoryReads

from gateway.app import add_live_routes, add_routes
from gateway.clients.published_keys import PARTNER_KEYS
from gateway.domain import SCOPE
from gateway.routes.confirm import ConfirmRoute
from gateway.routes.events import EventsRoute
from gateway.routes.reads import ReadRoute
from gateway.routes.socket import SocketRoute
from payment_schemas.answers import success
from payment_schemas.encrypted import KEYS_PATH
from service_runtime.edge import Access, Admission
from service_runtime.edge.limits import MemoryLimits
from service_runtime.keys import KeyRing
from service_runtime.push import StreamLimits, Streams
from service_runtime.sealing import Sealer, seal_code, seal_name
from service_runtime.tokens import TokenRules, TokenVerifier
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock
from testkit.tokens import AUDIENCE, ISSUER, MemoryKeys, token

SEALING_KEY, TAG_KEY, NAME_KEY = b"s" * 32, b"t" * 32, b"n" * 32
OK = success("tx-987", "7K2M9QX4TD", "ACH")
BODY = {
    "transaction_id": "tx-987",
    "idempotency_key": "abc-123",
    "amount": 5200,
    "from_account": "acc-1",
    "to_account": "payee-xyz",
}


@dataclass
class Edge:
    """The app and its memory twins."""

    answer: object = OK
    anonymous: str | None = None
    per_minute: int = 10
    reads_per_minute: int = 60
    failures: int = 100
    strict: bool = False
    proxies: list = field(default_factory=list)
    origins: list = field(default_factory=list)
    peer: str = "192.0.2.7"
    answer_within_s: float = 0.05
    streams_per_user: int = 10
    demands_encryption: bool = False

    def __post_init__(self):
        self.clock = SteadyClock(NOON)
        self.confirmation = MemoryConfirmation(lambda _command: self.answer)
        self.reads = MemoryReads()
        self.keys = MemoryKeys()
        admission = Admission(
            tokens=TokenVerifier(self.keys, TokenRules(ISSUER, AUDIENCE)),
            limits=MemoryLimits(lambda: self.clock.now().timestamp()),
            failures_per_minute=self.failures,
            anonymous_user=self.anonymous,
            trusted_proxies=self.proxies,
        )
        confirm = ConfirmRoute(
            admission=admission,
            access=Access(SCOPE, self.per_minute),
            confirmation=self.confirmation,
            seal=partial(seal_code, Sealer(SEALING_KEY), KeyRing(TAG_KEY)),
            seal_name=partial(seal_name, Sealer(NAME_KEY)),
            answer_within_s=self.answer_within_s,
            strict_keys=self.strict,
            currencies={"USD", "EUR", "JPY"},
            trusts_all=self.anonymous is not None,
            clock=self.clock,
            demands_encryption=self.demands_encryption,
        )
        self.app = create_app("gateway", {}, self.clock)
        read_access = Access(SCOPE, self.reads_per_minute, "read")
        self.partner_keys, self.encryption_keys = MemoryKeySet(), MemoryKeySet()
        read = ReadRoute(admission, read_access, self.reads)
        keys = {PARTNER_KEYS: self.partner_keys, KEYS_PATH: self.encryption_keys}
        add_routes(self.app, confirm, read, keys)
        self.streams = Streams(StreamLimits(self.streams_per_user))
        live = (admission, read_access, self.reads, self.streams)
        add_live_routes(self.app, EventsRoute(*live), SocketRoute(*live, self.origins))
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(self.peer, 1)),
            base_url="http://gateway",
        )

    async def post(self, body=BODY, user="usr-456", headers=None, **changes):
        """Post as that user; `changes` go into the body, where None removes a field."""
        given = {"Content-Type": "application/json", **(headers or {})}
        if user is not None and "Authorization" not in given:
            given["Authorization"] = f"Bearer {token(sub=user)}"
        if isinstance(body, dict):
            made = {**body, **changes}
            body = orjson.dumps({name: value for name, value in made.items() if value is not None})
        return await self.http.post("/payment/confirm", content=body, headers=given)

    async def read(self, transaction_id="tx-987", user="usr-456", **headers):
        if user is not None:
            headers = {"Authorization": f"Bearer {token(sub=user)}", **headers}
        return await self.http.get(f"/payment/{transaction_id}", headers=headers)

    @property
    def commands(self):
        return [command for command, _ in self.confirmation.sent]
