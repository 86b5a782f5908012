"""A gateway that plays a list of answers, on a clock that only the clients' pauses move."""

import json

import httpx
from joserfc import jwe, jwk
from joserfc.registry import HeaderParameter

import countersign_client
from countersign_client.encryption import KEYS_PATH

SUBJECT = "usr-456"
HEADER = dict.fromkeys(("transaction_id", "iat", "exp"), HeaderParameter("", lambda _: None))
ALGORITHMS = {"EC": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}


class ScriptedGateway:
    """The transport of both clients."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.now_s = 1000.0
        self.waited_s = 0.0
        self.keys_read = 0
        self.opened = []
        self._private = []

    def publish(self, *kinds):
        """Publish new keys of these types instead of those before; return their ids."""
        self._private = [_new_key(kind) for kind in kinds]
        return [key.kid for key in self._private]

    @property
    def sent(self):
        return [f"{one.method} {one.url.path}" for one in self.requests]

    @property
    def keys(self):
        found = [one.headers.get("Idempotency-Key") for one in self.requests]
        return [key for key in found if key]

    def client(self, kind, token=None, **options):
        """Return a client of the package whose time is this clock."""
        http = getattr(httpx, kind)(transport=httpx.MockTransport(self._answer))

        client = getattr(countersign_client, kind)("http://gateway", token, http=http, **options)
        client._now = lambda: self.now_s
        client._chance = lambda: 0.0
        client._sleep = self._sleep if kind == "Client" else self._sleep_async
        return client

    def _sleep(self, seconds):
        self.now_s += seconds
        self.waited_s += seconds

    async def _sleep_async(self, seconds):
        self._sleep(seconds)

    def _published(self):
        self.keys_read += 1
        keys = [
            {**key.as_dict(private=False), "alg": ALGORITHMS[key.key_type], "use": "enc"}
            for key in self._private
        ]
        return httpx.Response(200, json={"keys": keys})

    def _open(self, request):
        """Decrypt a request, as an implementation of the contract does, and keep what it holds."""
        algorithms = [*ALGORITHMS.values(), "A256GCM"]
        registry = jwe.JWERegistry(HEADER, algorithms=algorithms)
        keys = jwk.KeySet(self._private)
        found = jwe.decrypt_compact(request.content, keys, registry=registry)
        self.opened.append((found.protected, json.loads(found.plaintext)))

    def _answer(self, request):
        if request.url.path == KEYS_PATH:
            return self._published()
        self.requests.append(request)
        if request.headers.get("Content-Type") == "application/jose":
            self._open(request)
        answer = self.answers.pop(0)
        if "failure" in answer:
            raise httpx.ConnectError("refused", request=request)
        headers = {"X-Request-Id": f"request-{len(self.requests)}", **answer.get("headers", {})}
        if "body" in answer:
            return httpx.Response(answer["status"], headers=headers, json=answer["body"])
        return httpx.Response(answer["status"], headers=headers, text=answer.get("text", ""))


def _new_key(kind):
    key = jwk.ECKey.generate_key("P-256") if kind == "EC" else jwk.RSAKey.generate_key(2048)
    key.ensure_kid()
    return key
