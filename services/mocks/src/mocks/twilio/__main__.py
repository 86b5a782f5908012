"""Starts the mock: `python -m mocks.twilio`."""

from mocks.settings import TwilioSettings
from mocks.twilio.app import create
from service_runtime.clock import SystemClock
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop."""
    settings = load(TwilioSettings)
    run(create(settings, SystemClock()), settings)


if __name__ == "__main__":
    main()
