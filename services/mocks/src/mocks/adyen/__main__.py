"""Start the mock: `python -m mocks.adyen`."""

from mocks.adyen.app import create
from mocks.settings import AdyenSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(AdyenSettings, create)
