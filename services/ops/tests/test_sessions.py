"""The operator's session: where the tokens are, when they are refreshed, and how it ends."""

import json
import stat
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qsl

import jwt
import pytest

from ops.clients.addresses import Addresses
from ops.clients.provider import Provider
from ops.clients.sessions import Session, Signed, Tokens, state_folder
from ops.domain.errors import RefusedError, UnavailableError
from testkit.events import NOON
from testkit.memory import SteadyClock

KEY = "k" * 32


class Issuer:
    """A provider that answers as it is told, and remembers what it was sent."""

    def __init__(self):
        self.answers, self.requests = [], []
        self.more = {}

    def reply(self, path, body):
        if path.startswith("/.well-known"):
            found = {"issuer": self.url, "token_endpoint": f"{self.url}/token", **self.more}
            return 200, found | {
                "device_authorization_endpoint": f"{self.url}/device_authorization",
                "revocation_endpoint": f"{self.url}/revoke",
            }
        self.requests.append((path, dict(parse_qsl(body))))
        return self.answers.pop(0) if self.answers else (200, {})


@pytest.fixture
def issuer():
    found = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            status, answer = found.reply(self.path, body)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def clock():
    return SteadyClock(NOON)


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "countersign")


@pytest.fixture
def session(issuer, tokens, clock):
    found = Session(Provider(Addresses(operator_issuer=issuer.url)), tokens, "", clock)
    yield found
    found.close()


def signed(sub="alice", refresh="r-1", **times):
    issued = jwt.encode({"sub": sub, "iss": "i", "scope": "ops.read"}, KEY, "HS256")
    ends_at = (NOON + timedelta(**times)).timestamp()
    return Signed(issued, ends_at, refresh)


DEVICE = {
    "device_code": "d-1",
    "user_code": "BCDF-GHJK",
    "verification_uri": "https://page",
    "expires_in": 600,
    "interval": 5,
}
PENDING = 400, {"error": "authorization_pending"}


def test_a_sign_in_waits_for_its_approval_as_long_as_it_is_told(session, issuer, tokens):
    granted = {"access_token": "t-1", "expires_in": 900, "refresh_token": "r-1"}
    issuer.answers = [(200, DEVICE), PENDING, (400, {"error": "slow_down"}), (200, granted)]
    shown, waits = [], []
    session.sign_in(shown.append, waits.append)
    assert ([code.user_code for code in shown], waits) == (["BCDF-GHJK"], [5, 10])
    assert "ops.read" in issuer.requests[0][1]["scope"]
    assert session.token() == tokens.read(issuer.url).access_token == "t-1"


@pytest.mark.parametrize("error", ["access_denied", "expired_token"])
def test_a_denied_sign_in_says_so_and_keeps_nothing(session, issuer, tokens, error):
    issuer.answers = [(200, DEVICE), (400, {"error": error})]
    with pytest.raises(RefusedError, match=f"{error}; next: `countersign login`"):
        session.sign_in(lambda _code: None, lambda _s: None)
    assert tokens.read(issuer.url) is None


def test_nobody_waits_longer_than_the_code_lives(session, issuer):
    issuer.answers = [(200, DEVICE | {"expires_in": 12}), *[PENDING] * 10]
    waits = []
    with pytest.raises(RefusedError, match="in time"):
        session.sign_in(lambda _code: None, waits.append)
    assert sum(waits) <= 15


def test_only_their_owner_can_read_the_tokens(tokens, tmp_path):
    tokens.write("https://i", signed(minutes=15))
    file = tokens.path("https://i")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert tokens.read("https://another") is None
    assert state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "countersign"


def test_an_old_token_is_refreshed_and_kept(session, issuer, tokens):
    tokens.write(issuer.url, signed(seconds=10))
    issuer.answers = [(200, {"access_token": "t-2", "expires_in": 900, "refresh_token": "r-2"})]
    assert session.token() == "t-2"
    assert issuer.requests[0][1]["refresh_token"] == "r-1"
    assert tokens.read(issuer.url).refresh_token == "r-2"


@pytest.mark.parametrize("refresh", ["", "r-1"])
def test_an_expired_session_names_the_next_command(session, issuer, tokens, refresh):
    tokens.write(issuer.url, signed(refresh=refresh, seconds=-1))
    issuer.answers = [(400, {"error": "invalid_grant"})]
    with pytest.raises(UnavailableError, match="expired; next: `countersign login`"):
        session.token()


def test_without_a_session_the_command_says_so(session):
    with pytest.raises(UnavailableError, match="nobody is signed in; next: `countersign login`"):
        session.token()


def test_a_sign_out_ends_the_refresh_token_and_forgets_it(session, issuer, tokens):
    tokens.write(issuer.url, signed(minutes=15))
    assert session.sign_out() is True
    assert issuer.requests[0] == ("/revoke", {"token": "r-1", "client_id": "countersign"})
    assert tokens.read(issuer.url) is None
    assert session.sign_out() is False


def test_a_development_operator_exists_only_at_a_development_issuer(issuer, tokens, clock):
    session = Session(Provider(Addresses(operator_issuer=issuer.url)), tokens, "alice", clock)
    issuer.answers = [(200, DEVICE)]
    with pytest.raises(RefusedError, match="no development operator alice"):
        session.token()
    assert [path for path, _ in issuer.requests] == ["/device_authorization"]
    session.close()


def test_another_issuers_document_is_not_used(session, issuer, tokens):
    issuer.more = {"issuer": "https://another"}
    with pytest.raises(UnavailableError, match="does not describe itself"):
        session.sign_in(lambda _code: None, lambda _s: None)


def test_an_issuer_that_is_away_is_named(tokens, clock):
    away = Provider(Addresses(operator_issuer="http://127.0.0.1:1"))
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        Session(away, tokens, "alice", clock).token()
    away.close()
