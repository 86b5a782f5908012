"""`countersign open`: the addresses of what runs, by name."""

import re
import socket
from datetime import date

import pytest
import yaml

from local_stack.addresses import PAGES
from local_stack.layout import CHECKOUT
from ops.clients.addresses import Addresses
from ops.clients.pages import NAMES, answers, pages_of
from ops.command import browse
from ops.domain.errors import NotAskedError, RefusedError

TODAY = date(2026, 11, 20)
URLS = {
    name: f"http://127.0.0.1:{port}"
    for name, port in (("gateway", 1), ("twilio", 2), ("sendgrid", 3), ("partner_bank", 4))
} | {"ops": "http://127.0.0.1:5"}
EVERYTHING = Addresses(URLS, pages=dict.fromkeys(NAMES[-4:], "http://127.0.0.1:6"))


def test_each_name_has_a_page_where_all_runs():
    assert tuple(page.name for page in pages_of(EVERYTHING, TODAY)) == NAMES


def test_what_is_no_part_of_the_system_has_no_page():
    assert [page.name for page in pages_of(Addresses(), TODAY)] == []


def test_the_banks_page_is_of_today():
    [url] = [page.url for page in pages_of(EVERYTHING, TODAY) if page.name == "bank"]
    assert url == "http://127.0.0.1:4/statement?date=2026-11-20"


def test_a_page_answers_while_somebody_listens_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        [page, *_] = pages_of(Addresses({"gateway": url}), TODAY)
        assert answers(page)
    assert not answers(page)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("docs", NotAskedError, "nobody listens.*next: `make up`"),
        ("jaeger", NotAskedError, "nobody listens.*next: `make observe`"),
        ("nothing", RefusedError, "no page nothing.*next: `countersign open`"),
    ],
)
def test_a_page_that_cannot_be_shown_is_explained(name, error, sentence):
    with pytest.raises(error, match=sentence):
        browse.named(pages_of(EVERYTHING, TODAY), name)


def test_ports_of_what_observes_are_those_of_the_inventory():
    parts = yaml.safe_load((CHECKOUT / "deploy/stack.yaml").read_text())["observability"]
    ports = {part["ports"]["web"] for part in parts.values() if "web" in part.get("ports", {})}
    assert {port for pages in PAGES.values() for port, _ in pages.values()} <= ports


def test_every_page_is_named_in_the_help():
    assert set(re.findall(r"[a-z]+", browse.HELP)) >= set(NAMES)
