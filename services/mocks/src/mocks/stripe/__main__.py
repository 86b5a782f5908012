"""Start the mock: `python -m mocks.stripe`."""

from mocks.settings import StripeSettings
from mocks.stripe.app import create
from service_runtime.process import main

if __name__ == "__main__":
    main(StripeSettings, create)
