"""The client library against the running system: cases of the contract, README and example."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from contract_cases import CASES, arguments, assert_outcome

from countersign_client import AsyncClient, CountersignError
from testbed.edge import CODE, Edge

pytestmark = pytest.mark.stack

HOME = Path(__file__).parents[2] / "clients/python"
LIVE = [case for case in CASES if "live" in case]


@pytest.mark.parametrize("encryption", [False, True], ids=["plain", "encrypted"])
async def test_the_contract_s_cases_hold_at_the_gateway(edge: Edge, name: str, *, encryption: bool):
    """Each case has a customer of its own, so that none comes to the limit of requests."""
    customers = await edge.open_customers(name, len(LIVE), 10_000_00)
    outcomes = await asyncio.gather(
        *(
            _outcome(edge, case, customer, encryption=encryption)
            for case, customer in zip(LIVE, customers, strict=True)
        )
    )
    for case, customer, outcome in zip(LIVE, customers, outcomes, strict=True):
        changes = {"transaction_id": customer.account}
        assert_outcome(case, outcome, but=("reference",), **changes)
        assert outcome.request_id if isinstance(outcome, CountersignError) else True


async def _outcome(edge, case, customer, *, encryption):
    """Make the call of a case; the transaction has the name of the customer's account."""
    token = case["live"].get("token", customer.token)
    # A token that nobody issued names no subject.
    encryption = customer.user_id if encryption and "token" in case["live"] else encryption
    made = arguments(case, transaction_id=customer.account, from_account=customer.account)
    base_url = str(edge.http.base_url)
    if before := case["live"].get("before"):
        payment = arguments(
            {"with": case.get("with", {})},
            transaction_id=customer.account,
            from_account=customer.account,
        )
        if before == "another amount":
            payment["amount"] = "51.00"
        await AsyncClient(base_url, token, http=edge.http).confirm(**payment)
    client = AsyncClient(base_url, token, http=edge.http, encryption=encryption)
    try:
        return await getattr(client, case.get("call", "confirm"))(**made)
    except CountersignError as error:
        return error


async def test_the_lines_of_the_readme_confirm_and_settle(edge: Edge, tmp_path: Path):
    lines, *_ = re.findall(r"```python\n(.*?)```", (HOME / "README.md").read_text(), re.DOTALL)
    lines = re.sub(r"^   ", "", lines, flags=re.MULTILINE)
    lines = lines.replace("http://localhost:3000", str(edge.http.base_url))
    output = await _run(tmp_path, "-c", lines)
    assert re.search(r"confirmed: [0-9A-Z]{10}\nsettled: True\n$", output), output


async def test_the_example_pays(edge: Edge, name: str, tmp_path: Path):
    url = str(edge.http.base_url)
    payment = ("acc-1", "payee-xyz", "5300.00", name)
    output = await _run(tmp_path, HOME / "examples/pay.py", url, *payment)
    assert re.search(r"Confirmed, reference [0-9A-Z]{10}\nSettled\.\n$", output), output
    assert list((tmp_path / "attempts").iterdir()) == []


async def _run(folder: Path, *command: str | Path) -> str:
    """Run Python with the library; a user types the code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HOME / "src")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(f"{CODE}\n".encode()), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()
