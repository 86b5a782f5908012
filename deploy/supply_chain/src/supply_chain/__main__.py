"""The commands of the supply chain, such as `python -m supply_chain sbom`; see `make help`."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from local_stack.errors import StackError
from supply_chain import audit, digests, sbom, secrets

COMMANDS: Mapping[str, Callable[[], int]] = {
    "sbom": sbom.main,
    "secrets": secrets.main,
    "audit": audit.main,
    "digests": digests.main,
    "pinned": digests.report,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status; 1 with a sentence for an error."""
    parser = argparse.ArgumentParser(prog="supply_chain", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    try:
        return COMMANDS[parser.parse_args(arguments).command]()
    except StackError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
