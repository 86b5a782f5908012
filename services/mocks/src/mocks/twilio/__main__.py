"""Start the mock: `python -m mocks.twilio`."""

from mocks.settings import TwilioSettings
from mocks.twilio.app import create
from service_runtime.process import main

if __name__ == "__main__":
    main(TwilioSettings, create)
