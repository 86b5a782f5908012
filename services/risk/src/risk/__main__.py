"""Starts the service: `python -m risk`."""

from risk.app import build
from risk.settings import Settings
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop."""
    settings = load(Settings)
    run(build(settings), settings)


if __name__ == "__main__":
    main()
