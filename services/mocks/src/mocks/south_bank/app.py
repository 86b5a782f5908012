"""Wires the partner bank on Kafka."""

from mocks.edge import Mock
from mocks.partner_bank.ledger import BankLedger
from mocks.partner_bank.routes import Statements
from mocks.settings import SouthBankSettings
from mocks.south_bank.consumer import Consumer, Countersign
from service_runtime.clock import Clock
from service_runtime.http_client import HttpClient
from service_runtime.process import Process


def create(settings: SouthBankSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("south_bank", settings, clock)
    ledger = mock.use(BankLedger(settings.mock_state))
    mock.check("book", ledger.reachable)
    mock.app.add_route("/statement", Statements(ledger, mock.clock).whole, methods=["GET"])
    countersign = Countersign(mock.use(HttpClient("countersign", settings.partner_jwks_url)))
    consumer = Consumer(settings, ledger, countersign, mock.clock, mock.faults)
    mock.run(consumer.run)
    return mock.process()
