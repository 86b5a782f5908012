"""Start the mock: `python -m mocks.south_bank`."""

from mocks.settings import SouthBankSettings
from mocks.south_bank.app import create
from service_runtime.process import main

if __name__ == "__main__":
    main(SouthBankSettings, create)
