"""The places of private keys: files, a SoftHSM token, and a server with transit's interface."""

import asyncio
import base64
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from threading import Thread

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from confirm.clients.token_keys import TokenKeys
from confirm.clients.transit_keys import TransitKeys
from service_runtime.encryption_keys import (
    new_block,
    opening_keys,
    public_block,
    text_of,
)
from service_runtime.file_keys import FileKeys
from service_runtime.key_provider import KeyProvider
from testbed.key_token import MODULE, PIN, TOKEN, new_key

SECRET = "s.of-the-tests"


@dataclass
class Place:
    """A place with a key of each type that it can hold; `able` are the types that it can use."""

    provider: KeyProvider
    keys: dict
    able: set


def file_place(bits=3072):
    blocks = {"EC": new_block("EC", "p"), "RSA": new_block("RSA", "p", bits)}
    keys = {kind: opening_keys(text_of([block]), "p")[0] for kind, block in blocks.items()}
    return Place(FileKeys(), keys, {"EC", "RSA"})


def published_key(public):
    """Return a key whose private part is kept elsewhere."""
    return opening_keys(text_of([public_block(public)]), "")[0]


def token_place():
    """Make a key of each type in the token."""
    keys = {kind: published_key(new_key(kind)) for kind in ("EC", "RSA")}
    return Place(TokenKeys(MODULE, TOKEN, PIN), keys, {"EC"})


class _Transit(BaseHTTPRequestHandler):
    """`POST /v1/transit/decrypt/<name>`, as Vault's transit engine with keys of type rsa."""

    def do_POST(self):
        server = self.server
        server.asked += 1
        body = loads(self.rfile.read(int(self.headers["Content-Length"])))
        if server.status:
            return self._reply(server.status, {"errors": ["staged"]})
        if self.headers.get("Authorization") != f"Bearer {SECRET}":
            return self._reply(403, {"errors": ["permission denied"]})
        private = server.private.get(self.path.removeprefix("/v1/transit/decrypt/"))
        if private is None:
            return self._reply(400, {"errors": ["encryption key not found"]})
        try:
            sealed = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
            oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
            plain = private.decrypt(sealed, oaep)
        except ValueError:
            return self._reply(400, {"errors": ["invalid ciphertext: unable to decrypt"]})
        return self._reply(200, {"data": {"plaintext": base64.b64encode(plain).decode()}})

    def _reply(self, status, body):
        raw = dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_arguments):
        pass


@contextmanager
def transit_server():
    """Run a server; `private` are its keys by name, `status` a staged fault."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Transit)
    server.private, server.status, server.asked = {}, None, 0
    server.url = f"http://127.0.0.1:{server.server_port}/v1/transit"
    server.loop = asyncio.new_event_loop()
    threads = [Thread(target=server.serve_forever), Thread(target=server.loop.run_forever)]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.loop.call_soon_threadsafe(server.loop.stop)
        for thread in threads:
            thread.join()
        server.loop.close()


def transit_place(server):
    private = rsa.generate_private_key(65537, 2048)
    key = published_key(private.public_key())
    server.private[key.kid] = private
    elliptic = published_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    return Place(transit_keys(server), {"EC": elliptic, "RSA": key}, {"RSA"})


def transit_keys(server, secret=SECRET):
    """Return a client on the server's loop, to be called by other threads."""
    provider = TransitKeys(server.url, lambda: secret)
    asyncio.run_coroutine_threadsafe(provider.__aenter__(), server.loop).result(10)
    return provider


def ended(server, provider):
    asyncio.run_coroutine_threadsafe(provider.__aexit__(), server.loop).result(10)
