"""Digests come from the images' registries, for all images or for none."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from local_stack.errors import StackError
from local_stack.images import DOCKERFILE, STACK_FILE, base_image, unpinned
from local_stack.inventory import load_inventory
from supply_chain import digests
from supply_chain.digests import digest_of, place_of, refresh

DIGEST = "sha256:" + "0123456789abcdef" * 4


class Registry(BaseHTTPRequestHandler):
    """Implements the part of the distribution API that a client without an account uses."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        if self.headers.get("Authorization") != "Bearer for-anybody":
            realm = f"http://{self.headers['Host']}/token"
            said = f'Bearer realm="{realm}",service="registry",scope="repository:a/b:pull"'
            return self.reply(401, {"WWW-Authenticate": said})
        if self.path != "/v2/a/b/manifests/1.2" or "image.index" not in self.headers["Accept"]:
            return self.reply(404, {})
        return self.reply(200, {"Docker-Content-Digest": DIGEST})

    def do_GET(self):
        asked_for = "service=registry" in self.path and "scope=repository%3Aa%2Fb" in self.path
        self.reply(200 if asked_for else 400, {}, b'{"token": "for-anybody"}')

    def reply(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def registry():
    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def files(tmp_path):
    stack, docker = tmp_path / "stack.yaml", tmp_path / "Dockerfile"
    stack.write_text(f'kafka: {{port: 1, image: "a/b:1.2"}}\nold: {{image: "c:3@{DIGEST}"}}\n')
    docker.write_text("FROM python:3.11 AS packages\nFROM packages AS base\n")
    return (stack, docker)


def test_the_digest_of_a_tag_is_asked_for_with_a_token_for_anybody(registry):
    with httpx.Client() as http:
        assert digest_of(f"{registry}/a/b:1.2", http, "http") == DIGEST


def test_a_tag_that_its_registry_does_not_know_is_named(registry):
    with httpx.Client() as http, pytest.raises(StackError, match=r"/a/b:9 gave 404"):
        digest_of(f"{registry}/a/b:9", http, "http")


@pytest.mark.parametrize(
    ("tagged", "place"),
    [
        ("postgres:15", (digests.DEFAULT_REGISTRY, "library/postgres", "15")),
        ("grafana/loki:3", (digests.DEFAULT_REGISTRY, "grafana/loki", "3")),
        ("example.org/a/b:1", ("example.org", "a/b", "1")),
        ("localhost:5000/a:1", ("localhost:5000", "a", "1")),
    ],
)
def test_a_name_says_which_registry_holds_the_image(tagged, place):
    assert place_of(tagged) == place


def test_every_image_is_pinned_behind_its_tag_and_an_old_digest_is_replaced(files):
    other = DIGEST.replace("0", "f")
    assert refresh(files, lambda _: other) == list(files)
    assert files[0].read_text().count(other) == 2
    assert files[1].read_text() == f"FROM python:3.11@{other} AS packages\nFROM packages AS base\n"
    assert unpinned(files) == []
    assert refresh(files, lambda _: other) == []


def test_nothing_is_written_where_one_digest_cannot_be_had(files):
    before = [file.read_text() for file in files]

    def ask(tagged):
        if tagged.startswith("python"):
            raise StackError("not refreshed: refused")
        return DIGEST

    with pytest.raises(StackError):
        refresh(files, ask)
    assert [file.read_text() for file in files] == before


def test_without_a_network_the_command_says_so_and_changes_nothing(monkeypatch, capsys):
    def unreachable(*_):
        raise httpx.ConnectError("no address")

    before = STACK_FILE.read_text(), DOCKERFILE.read_text()
    monkeypatch.setattr(digests, "digest_of", unreachable)
    assert digests.main() == 1
    assert capsys.readouterr().out == "not refreshed: no registry could be reached\n"
    assert (STACK_FILE.read_text(), DOCKERFILE.read_text()) == before


def test_every_image_that_compose_and_the_dockerfile_name_is_found(files):
    named = {*load_inventory().images.values(), base_image()}
    pinned = {one for one in named if "@" in one}
    assert set(unpinned()) == named - pinned
    assert unpinned(files) == ["a/b:1.2", "python:3.11"]
