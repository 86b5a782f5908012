"""`countersign open`: the addresses of the pages, by name."""

import re
import socket
from datetime import date

import pytest
import yaml

from local_stack.addresses import PAGES
from local_stack.layout import CHECKOUT
from ops.clients.addresses import Addresses
from ops.clients.pages import NAMES, pages_of, responds
from ops.command import browse
from ops.domain.errors import RefusedError, UnavailableError

TODAY = date(2026, 11, 20)
URLS = {
    name: f"http://127.0.0.1:{port}"
    for name, port in (("gateway", 1), ("twilio", 2), ("sendgrid", 3), ("partner_bank", 4))
} | {"ops": "http://127.0.0.1:5"}
EVERYTHING = Addresses(URLS, pages=dict.fromkeys(NAMES[-4:], "http://127.0.0.1:6"))


def test_each_name_has_a_page_if_the_whole_system_runs():
    assert tuple(page.name for page in pages_of(EVERYTHING, TODAY)) == NAMES


def test_an_absent_service_has_no_page():
    assert [page.name for page in pages_of(Addresses(), TODAY)] == []


def test_the_page_of_the_bank_shows_today():
    [url] = [page.url for page in pages_of(EVERYTHING, TODAY) if page.name == "bank"]
    assert url == "http://127.0.0.1:4/statement?date=2026-11-20"


def test_a_page_responds_while_a_server_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        [page, *_] = pages_of(Addresses({"gateway": url}), TODAY)
        assert responds(page)
    assert not responds(page)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("docs", UnavailableError, "no server listens.*next: `make up`"),
        ("jaeger", UnavailableError, "no server listens.*next: `make observe`"),
        ("nothing", RefusedError, "this system has no page nothing.*next: `countersign open`"),
    ],
)
def test_a_page_that_cannot_be_shown_is_explained(name, error, sentence):
    with pytest.raises(error, match=sentence):
        browse.named(pages_of(EVERYTHING, TODAY), name)


def test_the_ports_of_observability_pages_are_those_of_the_inventory():
    parts = yaml.safe_load((CHECKOUT / "deploy/stack.yaml").read_text())["observability"]
    ports = {part["ports"]["web"] for part in parts.values() if "web" in part.get("ports", {})}
    assert {port for pages in PAGES.values() for port, _ in pages.values()} <= ports


def test_every_page_is_named_in_the_help():
    assert set(re.findall(r"[a-z]+", browse.HELP)) >= set(NAMES)
