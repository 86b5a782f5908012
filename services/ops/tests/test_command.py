"""Arguments, exit codes and output of the command, without a running system."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ops.clients.confirmation import exit_code_of
from ops.clients.dead_letters import letter_of, wanted
from ops.clients.system import HttpResponse
from ops.command import check as check_command
from ops.command.main import app
from ops.command.output import console, table_of
from ops.command.pay import next_after
from ops.domain.durations import span
from ops.domain.findings import LISTED, NAMES, Findings, Violation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"status": "SUCCESS"}, 0),
        (403, {"status": "OTP_REQUIRED"}, 3),
        (202, {"status": "PENDING"}, 4),
        (409, {"error": "Request in progress"}, 4),
        (409, {"status": "SUCCESS", "transaction_id": "tx-1"}, 1),
        (403, {"status": "DECLINED"}, 1),
        (401, {"error": "Invalid OTP"}, 1),
        (429, {"error": "Too many requests"}, 1),
        (400, None, 1),
        (503, {"error": "Service unavailable"}, 2),
        (502, None, 2),
    ],
)
def test_a_response_has_an_exit_code(status, body, expected):
    assert exit_code_of(status, body) == expected


OPTIONS = {"--tx": "t 1", "--key": "k", "--user": None}


@pytest.mark.parametrize(
    ("status", "body", "then"),
    [
        (403, {"status": "OTP_REQUIRED"}, "countersign pay --tx 't 1' --key k --otp CODE"),
        (401, {"error": "Invalid OTP"}, "countersign pay --tx 't 1' --key k --otp CODE"),
        (202, {"status": "PENDING"}, "countersign pay --tx 't 1' --key k"),
        (403, {"status": "DECLINED"}, "countersign show 't 1'"),
        (400, {"error": "Invalid field: amount"}, "countersign pay --help"),
        (503, None, "make logs S=gateway"),
    ],
)
def test_a_response_that_is_no_confirmation_names_the_next_command(status, body, then):
    response = HttpResponse(status, {}, body, "", 1.0)
    assert next_after(exit_code_of(status, body), response, OPTIONS) == then


def test_wrong_usage_names_the_help_of_its_command():
    messages_of = CliRunner().invoke(app, ["pay", "--user", "u", "--token", "t"])
    assert messages_of.exit_code == 2
    assert "countersign pay -h" in messages_of.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["pay"],
        ["token"],
        ["show"],
        ["accounts", "list"],
        ["accounts", "open"],
        ["proposals"],
        ["approve"],
        *(["charges", name] for name in ("show", "refund", "reviews", "review", "routing")),
        ["routing", "evaluate"],
        ["codes", "show"],
        ["codes", "unlock"],
        ["dlq", "list"],
        ["dlq", "show"],
        ["dlq", "redrive"],
        ["dlq", "discard"],
        ["dlq", "discards"],
        *(["fraud", name] for name in ("models", "stage", "roll-back")),
        *(["partners", name] for name in ("add", "list", "show", "rotate", "suspend", "resume")),
        ["partners", "replay"],
        *(["screening", name] for name in ("exceptions", "except", "end", "entry")),
        ["check"],
        ["reconcile"],
        ["cases", "list"],
        ["cases", "show"],
        ["cases", "resolve"],
        ["open"],
        ["completion"],
    ],
    ids=" ".join,
)
def test_every_command_has_a_help_text_with_examples(command):
    messages_of = CliRunner().invoke(app, [*command, "--help"])
    assert messages_of.exit_code == 0
    assert "Exit codes" in messages_of.stdout or command in (["token"], ["accounts", "list"])
    if command:
        assert "Examples:" in messages_of.stdout
        assert "--json" in messages_of.stdout or command == ["completion"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["show"], "TX"),
        (["accounts", "open", "a"], "--owner"),
        (["accounts", "open", "a", "--owner", "u", "--count", "0"], "--count"),
        (["charges", "refund", "txn_1"], "--note"),
        (["charges", "review", "txn_1", "approve"], "--note"),
        (["charges", "review", "txn_1", "perhaps", "--note", "x"], "DECISION"),
        (["routing", "evaluate"], "--policy"),
        (["routing", "evaluate", "--always", "stripe", "--days", "0"], "--days"),
        (["check", "--days", "0"], "--days"),
        (["dlq", "redrive"], "--topic"),
        (["dlq", "discard", "--because", "a test of ours"], "--topic"),
        (["dlq", "discard", "--id", "e"], "--because"),
        (["reconcile", "--partner", "first-bank"], "--date"),
        (["reconcile", "--partner", "first-bank", "--date", "today"], "--date"),
        (["cases", "resolve", "x", "--note", "y"], "--outcome"),
        (["dlq", "redrive", "--id", "e", "--actor", "ann"], "--actor"),
        (["--offset", "x", "check"], "--offset"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_option(arguments, named):
    messages_of = CliRunner().invoke(app, arguments)
    assert messages_of.exit_code == 2
    assert named in messages_of.stderr


def findings(*violations, missing=()):
    found = Findings(missing=list(missing))
    for violation in violations:
        found.add(violation)
    return found


LOST = Violation("I1", "p", "gone")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (findings(), 0),
        (findings(LOST), 1),
        (findings(missing=["audit"]), 2),
        (findings(LOST, missing=["audit"]), 1),
    ],
    ids=["clean", "violated", "blind", "violated and blind"],
)
def test_a_check_has_an_exit_code(found, expected):
    assert check_command.exit_code_of(found) == expected


def test_all_violations_are_counted_and_the_first_are_listed():
    found = findings(*[LOST] * (LISTED + 5), Violation("I12", "p", "unscored"))
    assert found.counts == {"I1": LISTED + 5, "I12": 1}
    assert len(found.violations) == LISTED + 1
    assert found.invariants() == [*NAMES]
    assert json.loads(json.dumps(found.as_dict()))["invariants"]["I1"]["violations"] == LISTED + 5


def test_a_check_shows_each_violation_and_each_missing_response(capsys):
    check_command.show_findings(console(), findings(LOST, missing=["audit [is] away"]))
    shown = capsys.readouterr().out
    for text in ("I1", "gone", "audit [is] away", "I9"):
        assert text in shown


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"])), max_size=4))
def test_text_is_never_parsed_as_markup(texts):
    screen = console()
    with screen.capture() as captured:
        screen.print(table_of("", ("", ""), [(text, "[bold]") for text in texts]))
    assert captured.get().count("[bold]") >= len(texts)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_an_age_is_shown_in_its_largest_unit(seconds, expected):
    assert span(timedelta(seconds=seconds)) == expected


def record(**headers):
    return SimpleNamespace(
        topic="settlement-queue-dlq",
        partition=3,
        offset=17,
        timestamp=NOON.timestamp() * 1000,
        key=b"k",
        headers=list(headers.items()),
        value=b"{}",
    )


def test_a_dead_letter_with_any_headers_is_readable():
    letter = letter_of(record(ce_id=b"\xff", dl_reason=None))
    assert (letter.topic, letter.reason, letter.time) == ("settlement-queue", "", NOON)
    assert letter.place == "settlement-queue/3/17"


def test_a_forged_header_does_not_redirect_a_dead_letter():
    assert letter_of(record(dl_topic=b"payment.confirmed.v1")).topic == "settlement-queue"


@pytest.mark.parametrize(
    ("topic", "reason", "event_id", "expected"),
    [
        (None, None, None, True),
        ("settlement-queue", None, None, True),
        ("settlement-queue-dlq", "schema", "e-1", True),
        ("risk.assessed.v1", None, None, False),
        (None, "header", None, False),
        (None, None, "e-2", False),
    ],
)
def test_filters_select_dead_letters(topic, reason, event_id, expected):
    letter = letter_of(record(ce_id=b"e-1", dl_reason=b"schema"))
    assert wanted(topic, reason, event_id)(letter) is expected
