"""Start the mock: `python -m mocks.issuer`."""

from mocks.issuer.app import create
from mocks.settings import IssuerSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(IssuerSettings, create)
