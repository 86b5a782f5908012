"""Start the mock: `python -m mocks.sendgrid`."""

from mocks.sendgrid.app import create
from mocks.settings import SendgridSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(SendgridSettings, create)
