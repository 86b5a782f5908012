"""The TypeScript client against the running system: cases of the contract, README and example."""

import json
import re
from pathlib import Path

import pytest
from contract_cases import CASES

from testbed.edge import CODE, Edge
from testbed.typescript import run_node

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("form", ["plain", "encrypted"])
async def test_the_contract_s_cases_hold_at_the_gateway(
    edge: Edge, name: str, typescript: Path, form: str
):
    """Each case has a customer of its own, so that none comes to the limit of requests."""
    live = sum("live" in case for case in CASES)
    customers = await edge.open_customers(name, live, 10_000_00)
    typed = json.dumps([vars(one) for one in customers])
    url = str(edge.http.base_url)
    output = await run_node(typescript, "tests/live.js", url, form, typed=typed)
    assert output == f"{live} of {live} cases hold\n"


@pytest.fixture
def installed(typescript: Path, tmp_path: Path) -> Path:
    """A folder with the package, as npm installs it."""
    modules = tmp_path / "node_modules/@countersign"
    modules.mkdir(parents=True)
    (modules / "client").symlink_to(typescript)
    return tmp_path


async def test_the_lines_of_the_readme_confirm_and_settle(
    edge: Edge, name: str, installed: Path, typescript: Path
):
    lines, *_ = re.findall(r"```ts\n(.*?)```", (typescript / "README.md").read_text(), re.DOTALL)
    script = installed / "pay.mjs"
    lines = lines.replace("http://localhost:3000", str(edge.http.base_url))
    script.write_text(lines.replace("order-1001", name))
    output = await run_node(installed, script, typed=f"{CODE}\n")
    assert re.search(r"confirmed: [0-9A-Z]{10}\nsettled: true\n$", output), output


async def test_the_example_pays(edge: Edge, name: str, tmp_path: Path, typescript: Path):
    url = str(edge.http.base_url)
    command = (typescript / "examples/pay.js", url, "acc-1", "payee-xyz", "5400.00", name)
    output = await run_node(tmp_path, *command, typed=f"{CODE}\n")
    assert re.search(r"Confirmed, reference [0-9A-Z]{10}\nSettled\.\n$", output), output
    assert list((tmp_path / "attempts").iterdir()) == []
