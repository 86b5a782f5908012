"""Start the mock: `python -m mocks.ofac`."""

from mocks.ofac.app import create
from mocks.settings import OfacSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(OfacSettings, create)
