"""Starts the service: `python -m otp`."""

from otp.app import build
from otp.settings import Settings
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop."""
    settings = load(Settings)
    run(build(settings), settings)


if __name__ == "__main__":
    main()
