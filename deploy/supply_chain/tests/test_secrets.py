"""Secrets and dangerous calls that someone plants are found; values are not printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT
from supply_chain import secrets
from supply_chain.secrets import Excepted, search

# In two parts, because this file is searched, too.
PLANTED = "AKIA" + "IOSFODNN7EXAMPLQ"
RANDOM = "hJ7dkq0P" + "z81LsmVb"
KIND = "PRIVATE" + " KEY"


def planted(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("services/otp/src/otp/app.py", f'KEY = "{PLANTED}"'),
        ("services/otp/service.toml", f'A_FILE = {{secret = "{RANDOM}"}}'),
        ("deploy/stack.yaml", f"  ACCESS: {{value: {PLANTED}}}"),
        ("docs/a.md", f"-----BEGIN {KIND}-----\nMC4CAQAwBQYDK2VwBCIEIA==\n"),
        ("tests/test_a.py", f'secret = "{RANDOM}"'),
    ],
)
def test_a_planted_secret_is_found_and_no_exception_covers_it(tmp_path, name, text):
    found = list(search([planted(tmp_path, name, text)], tmp_path, set()))
    assert [one.file for one in found][:1] == [name]
    assert not any(each.covers(one) for one in found for each in secrets.exceptions())


def test_what_is_found_is_printed_without_its_value(tmp_path):
    (found,) = search([planted(tmp_path, "a.py", f'key = "{PLANTED}"')], tmp_path, set())
    assert str(found) == "a.py:1: AWS Access Key"


def test_a_file_is_read_again_once_it_has_changed(tmp_path):
    clean, file = set(), planted(tmp_path, "a.py", "pass")
    assert list(search([file], tmp_path, clean)) == []
    file.write_text(f'key = "{PLANTED}"')
    assert len(list(search([file], tmp_path, clean))) == 1
    assert len(list(search([file], tmp_path, clean))) == 1


def test_an_exception_needs_a_reason(tmp_path):
    planted(tmp_path, "pyproject.toml", '[[tool.secret-scan.exceptions]]\nfiles="*"\nvalue=".*"\n')
    with pytest.raises(StackError, match=r"exceptions\[0\]: no reason"):
        secrets.exceptions(tmp_path)


def test_an_exception_that_nothing_needs_is_an_error(tmp_path, monkeypatch, capsys):
    stale = Excepted("gone.py", re.compile("x"), "it was there once")
    monkeypatch.setattr(secrets, "exceptions", lambda: [stale])
    monkeypatch.setattr(secrets, "tracked", list)
    monkeypatch.setattr(secrets, "REMEMBERED", tmp_path / "remembered.json")
    assert secrets.main() == 1
    assert "nothing in 'gone.py' needs this exception" in capsys.readouterr().out


def test_bandit_finds_a_planted_shell_in_the_source_and_reads_the_configuration(tmp_path):
    file = tmp_path / "planted.py"
    file.write_text('import subprocess\n\nsubprocess.run("ls", shell=True)\n')
    bandit = Path(sys.executable).with_name("bandit")
    words = [bandit, "-q", "-c", CHECKOUT / "pyproject.toml", file]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "subprocess_popen_with_shell_equals_true" in done.stdout
    assert "B404" not in done.stdout
