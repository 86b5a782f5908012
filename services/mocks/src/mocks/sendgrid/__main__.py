"""Starts the mock: `python -m mocks.sendgrid`."""

from mocks.sendgrid.app import create
from mocks.settings import SendgridSettings
from service_runtime.clock import SystemClock
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop."""
    settings = load(SendgridSettings)
    run(create(settings, SystemClock()), settings)


if __name__ == "__main__":
    main()
