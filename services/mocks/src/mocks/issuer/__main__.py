"""Starts the mock: `python -m mocks.issuer`."""

import sys

from mocks.issuer.app import create
from mocks.issuer.tokens import BadKey
from mocks.settings import IssuerSettings
from service_runtime.clock import SystemClock
from service_runtime.process import run
from service_runtime.settings import load


def main() -> None:
    """Run until told to stop; leave with status 2 where the key cannot sign."""
    settings = load(IssuerSettings)
    try:
        process = create(settings, SystemClock())
    except BadKey as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    run(process, settings)


if __name__ == "__main__":
    main()
