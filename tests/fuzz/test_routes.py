"""Whatever a client sends to any server, it gets an orderly answer.

No 5xx, a request id, a content type that fits the body, and none of the secrets that were sent.
"""

import base64
import json
import socket
from contextlib import suppress
from http.client import HTTPResponse
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import requests
import schemathesis
from fuzz_descriptions import described
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from local_stack.inventory import load_inventory
from ops.clients.addresses import Addresses
from ops.clients.sessions import session_of
from testbed.fuzzing import explore

pytestmark = pytest.mark.stack
schemathesis.serializer.alias("application/jose", "text/plain")
NAMES = list(load_inventory().services)
EXAMPLES = 2
SHARE = 1 / 400
"""There are about two hundred operations, each with valid and with invalid values."""
WITHIN_S = 10
WHO = st.sampled_from(["a caller that may", "a caller that may", "", "a-stranger"])


PROVIDERS = {
    "stripe": ("Bearer ", "stripe-api-key"),
    "model": ("Bearer ", "model-api-key"),
    "sendgrid": ("Bearer ", "sendgrid-api-key"),
    "onfido": ("Token token=", "kyc-provider-token"),
}


class Callers:
    """Who asks: nobody, a stranger, and whoever may."""

    def __init__(self, servers, credentials):
        self._read = credentials.read
        self._partners = json.loads(self._read("partner-credentials"))
        url = f"{servers.url('issuer')}/token"
        self._token, self._owner, self._merchant, self._person = (
            requests.post(url, json={"sub": "usr-456", "scope": scope}, timeout=WITHIN_S).json()[
                "access_token"
            ]
            for scope in ("payment.confirm", "webhooks.write", "charges.write", "kyc.write")
        )
        self.operator = session_of(Addresses({name: servers.url(name) for name in NAMES}), "alice")

    def authorization(self, server, case):
        """Return the header of a caller that may ask for this."""
        values = case.path_parameters or {}
        if server in PROVIDERS:
            scheme, secret = PROVIDERS[server]
            return f"{scheme}{self._read(secret)}"
        match server:
            case "gateway" | "insight" if not case.path.startswith("/admin/"):
                return f"Bearer {self._token}"
            case "webhooks" if case.path.startswith("/api/"):
                return f"Bearer {self._owner}"
            case "charges" if not case.path.startswith("/admin/"):
                return f"Bearer {self._merchant}"
            case "compliance" if case.path.startswith("/api/v1/kyc/"):
                return f"Bearer {self._person}"
            case "twilio":
                account = f"{values.get('account_sid', '')}:{self._read('twilio-auth-token')}"
                return f"Basic {base64.b64encode(account.encode()).decode()}"
            case "partner_bank":
                return f"Bearer {self._partners.get(values.get('partner'), 'no-secret')}"
        machines = {
            "/payments/{transaction_id}": "gateway",
            "/admin/contacts:query": "otp",
            "/checks:batch": "risk",
        }
        if machine := machines.get(case.path):
            return f"Bearer {self._read(f'internal-credential-{machine}')}"
        return f"Bearer {self.operator.token()}"


@pytest.fixture(scope="module")
def callers(servers, stack):
    found = Callers(servers, stack.credentials)
    yield found
    found.operator.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_route_gives_an_orderly_answer_to_whatever_is_sent(servers, callers, name):
    document = described(servers.processes[name], shared=name == NAMES[0])
    with requests.Session() as session:

        def check(case, who):
            headers = {}
            if who:
                may = who == "a caller that may"
                given = callers.authorization(name, case) if may else f"Bearer {who}"
                headers["Authorization"] = given
            try:
                response = case.call(
                    servers.url(name), session, headers, timeout=WITHIN_S, allow_redirects=False
                )
            except (requests.exceptions.InvalidHeader, UnicodeError):
                return  # the client does not send it
            first = {key.lower(): value[0] for key, value in response.headers.items()}
            orderly(response.status_code, first, response.content)
            assert not who or headers["Authorization"].split()[1].encode() not in response.content

        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            for mode in GenerationMode:
                cases = found.ok().as_strategy(generation_mode=mode)
                with suppress(Unsatisfiable):  # nothing in it can be wrong
                    explore(check, EXAMPLES, SHARE, case=cases, who=WHO)
        if name in servers.mocks:
            session.delete(f"{servers.url(name)}/faults", timeout=WITHIN_S)
    assert servers.faults == []


METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
TOKENS = st.from_regex(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,30}", fullmatch=True)
VALUES = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0"))
KNOWN = st.sampled_from(
    [
        b"authorization", b"idempotency-key", b"content-type", b"content-length", b"accept",
        b"transfer-encoding", b"x-forwarded-for", b"traceparent", b"tracestate", b"if-match",
        b"range", b"content-digest", b"connection", b"upgrade", b"expect", b"cookie", b"host",
    ]
)  # fmt: skip
HEADERS = st.lists(st.tuples(TOKENS | KNOWN, VALUES), max_size=6)
PATHS = st.sampled_from(
    [b"/payment/confirm", b"/payment/t-1", b"/health", b"/metrics", b"/admin/accounts", b"*", b"/"]
) | st.binary(min_size=1, max_size=40).map(lambda raw: b"/" + raw.translate(None, b" \r\n\0"))


@pytest.mark.parametrize("name", ["gateway", "confirm", "partner_bank"])
def test_any_bytes_in_path_headers_and_body_get_an_orderly_answer(servers, name):
    place = urlsplit(servers.url(name))

    def check(method, path, headers, body):
        lines = [b"%b %b HTTP/1.1" % (method.encode(), path), b"host: a", b"connection: close"]
        lines += [b"%b: %b" % pair for pair in headers]
        lines += [b"content-length: %d" % len(body), b"", body]
        with socket.create_connection((place.hostname, place.port), WITHIN_S) as client:
            client.sendall(b"\r\n".join(lines))
            answer = HTTPResponse(client, method=method)
            answer.begin()
            names = {key.lower(): value for key, value in answer.headers.items()}
            orderly(answer.status, names, answer.read(), bodiless=method == "HEAD")

    bodies = st.binary(max_size=200)
    explore(check, 40, 1 / 100, method=METHODS, path=PATHS, headers=HEADERS, body=bodies)
    assert servers.faults == []


def orderly(status, headers, content, *, bodiless=False):
    """Judge an answer; `headers` by their names in small letters."""
    assert status < 500, (status, content[:200])
    assert UUID(headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    kind = headers.get("content-type", "").partition(";")[0]
    if status >= 400 and not bodiless:
        # Twilio and SendGrid have forms of their own, and the issuer has pages for people.
        assert kind in {"application/json", "text/html"}
        assert kind == "text/html" or {"error", "errors", "message"} & json.loads(content).keys()
    elif content:
        assert kind
        if kind == "application/json":
            json.loads(content)
