"""Wires the partner banks."""

from mocks.edge import Mock
from mocks.partner_bank.ledger import BankLedger
from mocks.partner_bank.routes import Banks, Routes, Statements
from mocks.settings import PartnerBankSettings
from service_runtime.clock import Clock
from service_runtime.process import Process


def create(settings: PartnerBankSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("partner_bank", settings, clock)
    ledger = mock.use(BankLedger(settings.mock_state))
    mock.check("book", ledger.reachable)
    banks = Banks(settings.partner_credentials, settings.partner_late_s)
    routes = Routes(banks, ledger, mock)
    bank = "/banks/{partner}"
    mock.app.add_route(f"{bank}/transfers", routes.send, methods=["POST"])
    mock.app.add_route(f"{bank}/transfers:batch", routes.send_batch, methods=["POST"])
    mock.app.add_route(f"{bank}/transfers:query", routes.enquire, methods=["POST"])
    mock.app.add_route(f"{bank}/transfers/{{uetr}}", routes.look_up, methods=["GET"])
    mock.app.add_route(f"{bank}/statement", routes.statement, methods=["GET"])
    mock.app.add_route("/statement", Statements(ledger, mock.clock).whole, methods=["GET"])
    return mock.process()
