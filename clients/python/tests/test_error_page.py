"""docs/clients/errors.md names the errors of both libraries, and their statuses in the table."""

import re
from pathlib import Path

from contract_cases import CASES

import countersign_client
from countersign_client import CountersignError, Refused, Undecided

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/clients/errors.md").read_text()
ROWS = dict(re.findall(r"^\| `([A-Z]\w+)` \| ([^|]*) \|", PAGE, re.MULTILINE))
KINDS = {CountersignError, Refused, Undecided}


def test_the_page_has_every_error_of_both_libraries():
    python = {one for one in vars(countersign_client).values() if isinstance(one, type)}
    names = {one.__name__ for one in python - KINDS if issubclass(one, CountersignError)}
    source = (ROOT / "clients/typescript/src/errors.ts").read_text()
    typescript = set(re.findall(r"^export class (\w+) extends", source, re.MULTILINE))
    assert set(ROWS) == names == typescript - {one.__name__ for one in KINDS}


def test_the_page_has_the_statuses_of_the_table():
    for case in CASES:
        [(kind, fields)] = case["outcome"].items()
        if kind in ROWS and fields.get("status"):
            assert str(fields["status"]) in ROWS[kind].split(", "), kind
    failures = {one["status"] for case in CASES for one in case["answers"] if "status" in one}
    failures = {status for status in failures if status >= 500 or status == 408}
    assert {str(status) for status in failures} == set(ROWS["Unavailable"].split(", "))


def test_the_page_has_every_reason_of_the_table():
    reasons = {case["outcome"].get("Declined", {}).get("reason") for case in CASES} - {None}
    assert reasons == set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
