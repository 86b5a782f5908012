"""Starts the server of ops: `python -m ops`."""

from ops.app import build
from ops.settings import Settings
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop."""
    settings = load(Settings)
    run(build(settings), settings)


if __name__ == "__main__":
    main()
