"""Start the mock: `python -m mocks.onfido`."""

from mocks.onfido.app import create
from mocks.settings import OnfidoSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(OnfidoSettings, create)
