"""List the slowest tests of the last `make test` from its JUnit report: `make test-slow`."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

SHOWN = 20


def main(report: Path) -> str:
    """Return a line for each of the slowest tests and the sum; set-up and tear-down count."""
    if not report.exists():
        return "no test run is recorded: run `make test` first"
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest's own file
    cases.sort(key=lambda case: -float(case.get("time", 0)))
    lines = [f"{float(one.get('time', 0)):7.1f} s  {_name(one)}" for one in cases[:SHOWN]]
    total = sum(float(one.get("time", 0)) for one in cases)
    return "\n".join([*lines, f"{total:7.1f} s  all {len(cases)} tests"])


def _name(case: ET.Element) -> str:
    return f"{case.get('classname', '')}::{case.get('name', '')}"


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
