"""The results of a verification: a table, and JUnit XML."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET


@dataclass(frozen=True)
class Result:
    """How one rule ended; `broken` says how the bank breaks it."""

    rule: str
    promise: str
    seconds: float
    broken: str | None = None


def table_of(results: list[Result]) -> str:
    """Return a line a rule, and the broken ones with the reason."""
    width = max(len(one.rule) for one in results)
    lines = []
    for one in results:
        lines.append(f"{'FAILED' if one.broken else 'passed'}  {one.rule:<{width}}  {one.promise}")
        if one.broken:
            lines.append(f"{'':<{width + 10}}{one.broken}")
    failed = sum(1 for one in results if one.broken)
    return "\n".join([*lines, f"{len(results) - failed} of {len(results)} rules passed"])


def write_junit(results: list[Result], file: Path) -> None:
    """Write the results as JUnit XML."""
    suite = ET.Element(
        "testsuite",
        name="countersign-partner",
        tests=str(len(results)),
        failures=str(sum(1 for one in results if one.broken)),
    )
    for one in results:
        case = ET.SubElement(
            suite, "testcase", classname="partner", name=one.rule, time=f"{one.seconds:.3f}"
        )
        if one.broken:
            ET.SubElement(case, "failure", message=one.broken).text = one.promise
    ET.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
