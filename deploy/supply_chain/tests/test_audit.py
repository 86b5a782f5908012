"""An audit says "not audited" wherever it has not looked a package up."""

import pytest

from supply_chain import audit
from supply_chain.audit import CLEAN, NOT_AUDITED, VULNERABLE, judged

FINE = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
KNOWN = {"id": "CVE-2026-1", "fix_versions": ["3.14.6"], "aliases": [], "description": ""}
SKIPPED = {"name": "redis", "skip_reason": "Dependency not found"}
LOCKED = {"aiohttp", "redis"}


def test_a_lock_is_clean_where_every_package_was_looked_up():
    verdict = judged("a.lock", LOCKED, [FINE, {**FINE, "name": "Redis"}])
    assert verdict.status == CLEAN
    assert verdict.lines == ("a.lock: audited 2 packages, no known vulnerability",)


@pytest.mark.parametrize("answers", [[FINE, SKIPPED], [FINE], []])
def test_one_package_without_an_answer_means_not_audited(answers):
    verdict = judged("a.lock", LOCKED, answers)
    assert verdict.status == NOT_AUDITED
    assert "not audited" in verdict.lines[0]
    assert "redis" in verdict.lines[0]


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it():
    verdict = judged("a.lock", {"aiohttp"}, [{**FINE, "vulns": [KNOWN]}])
    assert verdict.status == VULNERABLE
    assert verdict.lines == ("a.lock: aiohttp 3.14.5: CVE-2026-1, fixed in 3.14.6",)


def test_a_vulnerability_beside_skipped_packages_is_reported_as_such():
    verdict = judged("a.lock", LOCKED, [{**FINE, "vulns": [KNOWN]}, SKIPPED])
    assert verdict.status == VULNERABLE
    assert len(verdict.lines) == 2


@pytest.mark.parametrize(
    "lines",
    ['echo "ConnectionError: no route" >&2; exit 1', 'echo "{}"', "echo not JSON"],
)
def test_an_audit_that_cannot_ask_says_not_audited(tmp_path, lines):
    program, lock = tmp_path / "pip-audit", tmp_path / "a.lock"
    program.write_text(f"#!/bin/sh\n{lines}\n")
    program.chmod(0o755)
    lock.write_text("redis==1.0\n")
    verdict = audit.audited(lock, program)
    assert verdict.status == NOT_AUDITED
    assert verdict.lines[0].startswith("a.lock: not audited: ")


def test_the_worst_lock_decides(monkeypatch, capsys):
    verdicts = iter([judged("a.lock", {"aiohttp"}, [FINE]), judged("b.lock", LOCKED, [FINE])])
    monkeypatch.setattr(audit, "lock_files", lambda: ["a", "b"])
    monkeypatch.setattr(audit, "audited", lambda _: next(verdicts))
    assert audit.main() == NOT_AUDITED
    assert "a.lock: audited 1 packages" in capsys.readouterr().out
