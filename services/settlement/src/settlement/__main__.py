"""Starts settlement: `python -m settlement`."""

from service_runtime.process import run
from service_runtime.settings import load
from settlement.app import build
from settlement.settings import Settings


def main() -> None:
    """Run until told to stop."""
    settings = load(Settings)
    run(build(settings), settings)


if __name__ == "__main__":
    main()
