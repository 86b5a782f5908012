"""Wires the partner banks."""

from mocks.edge import open_edge
from mocks.partner_bank.book import Book
from mocks.partner_bank.routes import Banks, Routes
from mocks.settings import PartnerBankSettings
from service_runtime.clock import Clock
from service_runtime.process import Process


def create(settings: PartnerBankSettings, clock: Clock) -> Process:
    """Return the mock, ready to run."""
    book = Book(settings.mock_state)
    edge = open_edge("partner_bank", settings, clock, {"book": book.reachable})
    banks = Banks(settings.secrets_by_partner, settings.partner_late_s)
    routes = Routes(banks, book, clock, edge)
    bank = "/banks/{partner}"
    edge.app.add_route(f"{bank}/transfers", routes.send, methods=["POST"])
    edge.app.add_route(f"{bank}/transfers:batch", routes.send_batch, methods=["POST"])
    edge.app.add_route(f"{bank}/transfers:query", routes.enquire, methods=["POST"])
    edge.app.add_route(f"{bank}/transfers/{{uetr}}", routes.look_up, methods=["GET"])
    edge.app.add_route(f"{bank}/statement", routes.statement, methods=["GET"])
    edge.app.add_route("/statement", routes.whole_statement, methods=["GET"])
    return edge.process(resources=(book,))
