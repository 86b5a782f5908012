"""Start the mock: `python -m mocks.partner_bank`."""

from mocks.partner_bank.app import create
from mocks.settings import PartnerBankSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(PartnerBankSettings, create)
