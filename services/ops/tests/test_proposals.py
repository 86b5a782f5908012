"""Proposals of all services in one list, and cases among them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from ops.clients.addresses import Addresses
from ops.clients.proposals import OWNERS, SETTLEMENT, approve, waiting
from ops.clients.system import System
from ops.domain.errors import RefusedError

CASE = {
    "id": "1649ffcc-4257-5b1e-bdec-8465d8067f4b",
    "resolution": "SETTLE",
    "partner": "first-bank",
    "uetr": "7d4a5f5e-9c1e-4b6e-8c66-0f1b2a3c4d5e",
    "note": "their clerk has seen it",
    "proposed_by": "https://issuer|alice",
    "updated_at": "2026-03-02T12:00:00+00:00",
}
RULE = {"proposal": "c", "act": "RULE_SET", "proposed_at": "2026-03-02T10:00:00+00:00"}
FIRST = {"proposal": "a", "act": "ACCOUNTS_OPEN", "proposed_at": "2026-03-02T11:00:00+00:00"}


@contextmanager
def services(*add_ons: str) -> Iterator[tuple[System, list[tuple[str, object]]]]:
    """Confirm with one proposal, settlement with one proposed case; and what is posted to them."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            case = "/admin/cases" in self.path
            found = {"confirm": [FIRST], "compliance": [RULE]}
            proposals = found.get(self.path.split("/")[1], [])
            self.reply({"cases": [CASE]} if case else {"proposals": proposals})

        def do_POST(self):
            posted.append(
                (self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
            )
            self.reply({"status": "RESOLVED"})

        def reply(self, found):
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        names = (*OWNERS, SETTLEMENT, *add_ons)
        addresses = Addresses({name: f"{base}/{name}" for name in names}, admins=names)
        with System(addresses, bearer=lambda: "token") as system:
            yield system, posted
        server.shutdown()


def test_the_proposals_of_all_services_are_listed_with_their_end_the_oldest_first():
    with services() as (system, _):
        first, case = waiting(system)
    assert (first["owner"], first["proposal"]) == ("confirm", "a")
    assert (case["act"], case["expires_at"]) == ("CASE_SETTLE", "2026-03-03T12:00:00+00:00")


def test_a_case_is_approved_as_it_was_proposed():
    with services() as (system, posted):
        assert approve(system, CASE["id"])["status"] == "RESOLVED"
    body = {"resolution": "SETTLE", "note": "their clerk has seen it"}
    assert posted == [(f"/settlement/admin/cases/{CASE['id']}/approve", body)]


def test_an_unknown_proposal_is_refused_and_nothing_is_sent():
    with services() as (system, posted), pytest.raises(RefusedError, match="countersign proposals"):
        approve(system, "b")
    assert posted == []


def test_proposals_of_an_add_on_are_listed_where_it_has_been_started():
    with services("compliance") as (system, _):
        assert [row["owner"] for row in waiting(system)] == ["compliance", "confirm", "settlement"]
