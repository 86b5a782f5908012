"""The benchmark's commands, such as `python -m bench smoke`; see `make help`."""

import argparse
import sys
from collections.abc import Sequence

import httpx

from bench import suites
from bench.errors import BenchmarkError
from bench.system import DEFAULT_OFFSET
from local_stack.errors import StackError
from local_stack.waiting import elapsed_since, now_s
from ops.domain.errors import OpsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one suite. Returns 0 if all gates hold, else 1 with the next step."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("suite", choices=sorted(suites.SUITES))
    parser.add_argument("--offset", type=int, default=DEFAULT_OFFSET, help="added to every port")
    options = parser.parse_args(arguments)
    start_s = now_s()

    def tell(line: str) -> None:
        print(f"{elapsed_since(start_s):6.1f} s  {line}", flush=True)

    try:
        suites.SUITES[options.suite](options.offset, tell)
    except (BenchmarkError, StackError, OpsError, httpx.HTTPError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    tell("all gates hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
