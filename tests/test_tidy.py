"""The style, held by machine: sizes, words, headings, topics. CONTRIBUTING.md says why."""

import ast
import re
import statistics
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.topics import load_topics
from payment_schemas.registry import EVENTS

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in (
        "libs/*/src",
        "services/*/src",
        "clients/*/src",
        "deploy/*/src",
        "benchmarks/src",
    )
    for place in ROOT.glob(folder)
    for path in place.rglob("*.py")
)
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/pyproject.toml"))
HEADINGS = ["## Reads", "## Emits", "## Owns", "## Promises", "## Configuration"]
MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 50
MEDIAN_FUNCTION_LINES = 8
MONEY = ("amount", "balance", "minor")


def lines_of(text: list[str]) -> int:
    return sum(1 for line in text if line.strip())


def functions() -> Iterator[tuple[str, int, ast.AST]]:
    for path in SOURCES:
        text = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(text))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = lines_of(text[node.lineno - 1 : node.end_lineno])
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", size, node


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split("\n")


def test_no_file_is_too_long_to_read_in_one_sitting():
    long = {str(p.relative_to(ROOT)): lines_of(p.read_text().splitlines()) for p in SOURCES}
    assert {name: size for name, size in long.items() if size > MOST_FILE_LINES} == {}


TYPESCRIPT = sorted(ROOT.glob("clients/*/src/**/*.ts"))


def test_no_file_in_typescript_is_longer():
    sizes = {
        str(path.relative_to(ROOT)): lines_of(path.read_text().splitlines()) for path in TYPESCRIPT
    }
    sizes.pop("clients/typescript/src/openapi.ts", None)  # generated
    assert {name: size for name, size in sizes.items() if size > MOST_FILE_LINES} == {}


def test_functions_are_short():
    sizes = {name: size for name, size, _ in functions()}
    assert {name: size for name, size in sizes.items() if size > MOST_FUNCTION_LINES} == {}
    assert statistics.median(sizes.values()) <= MEDIAN_FUNCTION_LINES


def _is_money(name: str) -> bool:
    return any(word in name for word in MONEY)


def test_no_float_comes_near_money():
    """An annotation `float`, or a call of it, on anything that is named like money."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
                target = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                if "float" in ast.unparse(node.annotation) and _is_money(target):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {target}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
                call = ast.unparse(node)
                found += [f"{path.relative_to(ROOT)}:{node.lineno} {call}"] * _is_money(call)
    assert found == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_says_what_it_is_in_five_headings(service: Path):
    readme = (service / "README.md").read_text()
    assert re.findall(r"^## .*$", readme, re.MULTILINE)[: len(HEADINGS)] == HEADINGS


def test_every_event_has_a_topic_that_a_manifest_emits():
    assert {event.topic for event in EVENTS} <= {topic.name for topic in load_topics()}


def test_names_say_what_is_inside():
    vague = {"utils", "helpers", "manager", "process_data", "data", "common", "misc"}
    assert [str(p) for p in SOURCES if p.stem in vague] == []


# The kit of partner banks is no package of the workspace: it is installed alone.
PACKAGES = {
    path.parent.name: path.parent
    for path in ROOT.glob("*/*/src/*/__init__.py")
    if "clients" not in path.parts
} | {path.parent.name: path.parent for path in ROOT.glob("benchmarks/src/*/__init__.py")}


def test_every_package_has_its_layer():
    """import-linter checks a package only if the lists name it."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = " | ".join(linter["contracts"][0]["layers"]).split(" | ")
    assert sorted(layers) == sorted(linter["root_packages"]) == sorted(PACKAGES)


def _imported(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)


def test_the_tests_of_a_library_or_service_import_no_other_service():
    """Tests of more than one service are in tests/; the test kits start what else is needed."""
    services = {name for name, folder in PACKAGES.items() if "services" in folder.parts}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in (*ROOT.glob("libs/*/tests"), *ROOT.glob("services/*/tests"))
        for path in folder.rglob("*.py")
        for name in (services - {folder.parent.name}) & set(_imported(path))
    ]
    assert found == []


BLOCKING = {"psycopg2", "requests", "urllib3", "kafka", "confluent_kafka", "sqlite3", "smtplib"}
BLOCKING_CALLS = {"time.sleep", "psycopg.connect", "httpx.Client", "redis.Redis", "subprocess.run"}
MAY_BLOCK = re.compile(
    # Tools and tests, the check in its thread, what runs before there is a loop, the SDKs' threads,
    # the mock bank's book, which writes one small row to a file, and what others run.
    r"libs/testkit|benchmarks/|^clients/|deploy/|services/ops|service_runtime/migrations\.py"
    r"|notification/clients/(sdks|http_transport)\.py|mocks/partner_bank"
)


def test_no_service_waits_on_its_event_loop():
    found = []
    for path in SOURCES:
        name = str(path.relative_to(ROOT))
        if MAY_BLOCK.search(name):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            found += [f"{name}: {one}" for one in modules if (one or "").split(".")[0] in BLOCKING]
            if isinstance(node, ast.Call) and ast.unparse(node.func) in BLOCKING_CALLS:
                found.append(f"{name}:{node.lineno} {ast.unparse(node.func)}")
    assert found == []


def test_no_work_is_left_in_comments():
    words = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert found == []


def test_no_secret_is_tracked():
    private = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{40}")
    found = []
    for name in filter(None, tracked()):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 1_000_000:
            text = path.read_bytes().decode("utf-8", "replace")
            if private.search(text) or path.name == ".env":
                found.append(name)
    assert found == []


def test_every_decision_says_when_to_look_at_it_again():
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        headings = re.findall(r"^## (.*)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Rejected", "Revisit when"], path.name


VOLATILE_CONDITION = re.compile(r"[<>]=?\s*clock_timestamp\(\)|clock_timestamp\(\)\s*[<>]")


def test_no_condition_asks_for_the_time_row_by_row():
    """An index is not bounded by what may change from row to row: now() is, or a parameter."""
    found = [
        str(path.relative_to(ROOT))
        for path in (
            *SOURCES,
            *ROOT.glob("*/*/migrations/*.sql"),
            *ROOT.glob("libs/*/src/**/*.sql"),
        )
        if VOLATILE_CONDITION.search(path.read_text())
    ]
    assert found == []
