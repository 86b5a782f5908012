"""The command completes in the shell: the printed script, run by bash and by zsh."""

import json
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from ops.clients.sessions import Signed, Tokens
from ops.command.main import app

BASH = shutil.which("bash")
COMMAND = Path(sys.executable).parent / "countersign"
ASK = """{script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_countersign_completion {command}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def output_of(*command, **environment):
    result = subprocess.run(  # noqa: S603 - a constant
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    return result.stdout


def completed_by_bash(*words, **environment):
    quoted = " ".join(f"'{word}'" for word in ("countersign", *words))
    script = CliRunner().invoke(app, ["completion", "bash"]).stdout
    asking = ASK.format(script=script, command=COMMAND, words=quoted)
    return output_of(BASH, "--norc", "-c", asking, **environment).split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rec"], ["reconcile"]),
        (["dlq", ""], ["list", "show", "redrive", "discard", "discards"]),
        (["dlq", "list", "--topic", "settlement-q"], ["settlement-queue"]),
    ],
    ids=["a command", "its own commands", "a value"],
)
def test_bash_completes(words, expected):
    assert completed_by_bash(*words) == expected


def test_zsh_completes():
    script = CliRunner().invoke(app, ["completion", "zsh"]).stdout
    assert script.startswith("#compdef countersign")
    asking = {"_COUNTERSIGN_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "countersign open j"}
    assert "jaeger" in output_of(COMMAND, **asking)


@pytest.fixture
def confirm(tmp_path):
    """A server at confirm's and settlement's address; yields its environment."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = {"accounts": [{"id": "acc-1"}, {"id": "acc-2"}]}
            found["partners"] = [{"partner": "south-bank"}, {"partner": "west-bank"}]
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        Tokens(tmp_path / "countersign").write(url, Signed("token", expires_at=2.0**40))
        yield {
            "ADMIN_URLS": json.dumps({"confirm": url, "settlement": url}),
            "OPERATOR_ISSUER": url,
            "XDG_STATE_HOME": str(tmp_path),
        }
        server.shutdown()
        thread.join()


def test_accounts_of_the_running_system_are_completed(confirm):
    assert completed_by_bash("pay", "--from", "acc", **confirm) == ["acc-1", "acc-2"]


def test_partner_banks_of_the_running_system_are_completed(confirm):
    assert completed_by_bash("partners", "suspend", "s", **confirm) == ["south-bank"]


def test_without_a_running_system_no_account_is_completed():
    assert completed_by_bash("cases", "show", "", COUNTERSIGN_OFFSET="39999") == []
