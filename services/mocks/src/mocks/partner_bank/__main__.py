"""Starts the mock: `python -m mocks.partner_bank`."""

from mocks.partner_bank.app import create
from mocks.settings import PartnerBankSettings
from service_runtime.clock import SystemClock
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop."""
    settings = load(PartnerBankSettings)
    run(create(settings, SystemClock()), settings)


if __name__ == "__main__":
    main()
