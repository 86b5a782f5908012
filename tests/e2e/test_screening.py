"""Names of both parties over real payments: a hit, an exception, a changed list, screening away."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_stack.stack import Stack
from screening.settings import DEMONSTRATION
from service_runtime.clock import SystemClock
from testbed.command import Command
from testbed.edge import CODE, Customer, Edge
from testbed.stack import joined

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
SWAPPED, INNOCENT, MISTAKEN = "Oleskandr Varennikov", "Maria Garcia", "Tariq Qureshi"
WITHIN_S = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the invented list, which a test changes."""
    return Path(shutil.copytree(DEMONSTRATION, tmp_path_factory.mktemp("lists") / "demo"))


@pytest.fixture(scope="module")
def screened(system: Stack, folder: Path) -> Iterator[Stack]:
    """The system with screening and compliance, which risk asks; without them afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LISTS_FOLDER", str(folder))
        patch.setenv("LISTS_EVERY_S", "0.5")
        with joined(system, "screening", "compliance"):
            yield system


@pytest.fixture(scope="module")
async def names(screened: Stack) -> AsyncIterator[Edge]:
    edge = Edge(screened.description())
    yield edge
    await edge.close()


async def customer_of(edge: Edge, name: str) -> Customer:
    (customer,) = await edge.open_customers(name, 1, 1_000_000_00)
    return customer


async def test_letters_swapped_are_declined_and_a_common_name_passes(
    names: Edge, countersign: Command, name: str
):
    customer = await customer_of(names, name)

    declined = await names.pay(customer, f"{name}-a", to_name=SWAPPED)
    passed = await names.pay(customer, f"{name}-b", to_name=INNOCENT)

    assert (declined.status_code, declined.json()["reason"]) == (403, "not_permitted")
    assert (passed.status_code, passed.json()["status"]) == (200, "SUCCESS")
    _, shown = await countersign.json("show", f"{name}-a")
    (hit,) = [one for one in shown["screenings"] if one["party"] == "creditor"]
    assert (hit["list"], hit["version"], hit["entry"]) == ("DEMO", "2026-11-01", "1001")
    assert (hit["score"] >= 70, hit["name"]) == (True, "VARENNIKOV, Oleksandr Pavlovich")
    assert hit["by"] == "account and name"


async def test_a_payer_is_screened_by_the_name_of_its_identity_checks(
    names: Edge, countersign: Command, name: str
):
    customer = await customer_of(names, name)
    assert (await names.pay(customer, f"{name}-a")).json()["status"] == "SUCCESS"
    await names.initiate(customer.user_id, "Varennikov", "Oleskandr")
    declined = await names.pay(customer, f"{name}-b")

    assert (declined.status_code, declined.json()["reason"]) == (403, "not_permitted")
    debtors = []
    for transaction in (f"{name}-a", f"{name}-b"):
        _, shown = await countersign.json("show", transaction)
        assert "Varennikov" not in json.dumps(shown)
        debtors += [one for one in shown["screenings"] if one["party"] == "debtor"]
    # Of the first payment no name was known, and the result says so.
    assert [(one["hit"], one["by"]) for one in debtors] == [
        (False, "account"),
        (True, "account and name"),
    ]
    assert (debtors[1]["list"], debtors[1]["entry"]) == ("DEMO", "1001")


async def test_an_exception_by_two_people_lets_a_wrongly_hit_customer_be_paid(
    names: Edge, countersign: Command, name: str
):
    customer, payee = await customer_of(names, name), f"payee-{name}"
    declined = await names.pay(customer, f"{name}-a", to_name=MISTAKEN, to_account=payee)
    assert declined.json()["reason"] == "not_permitted"

    day = (SystemClock().now() + timedelta(days=90)).date().isoformat()
    of = ("--until", day, "--reason", "born 1990")
    _, proposed = await countersign.json("screening", "except", payee, "DEMO", "1002", *of)
    code, _, error = await countersign("approve", proposed["proposal"], by="alice")
    assert (code, "second person" in error) == (1, True)
    code, _, error = await countersign("approve", proposed["proposal"], by="bob")
    assert (code, error) == (0, "")

    passed = await names.pay(customer, f"{name}-b", to_name=MISTAKEN, to_account=payee)
    assert passed.json()["status"] == "SUCCESS"
    _, shown = await countersign.json("show", f"{name}-b")
    (clear,) = [one for one in shown["screenings"] if one["party"] == "creditor"]
    assert (clear["hit"], clear["excepted"]) == (False, "DEMO:1002")

    _, listed = await countersign.json("screening", "exceptions", "--account", payee)
    (exception,) = listed["exceptions"]
    code, _, error = await countersign("screening", "end", exception["id"])
    assert (code, error) == (0, "")
    again = await names.pay(customer, f"{name}-c", to_name=MISTAKEN, to_account=payee)
    assert again.json()["reason"] == "not_permitted"


async def test_a_name_waits_for_screening_and_never_passes_without_it(
    screened: Stack, names: Edge, name: str
):
    customer = await customer_of(names, name)
    process = screened.pid("screening")
    os.kill(process, signal.SIGSTOP)
    try:
        paying = [
            asyncio.create_task(names.pay(customer, f"{name}-{to}", to_name=to_name))
            for to, to_name in (("a", SWAPPED), ("b", INNOCENT))
        ]
        # Longer than the look-up may take: it has failed.
        await asyncio.sleep(5)
        waiting = [await names.payment(customer, f"{name}-{to}") for to in "ab"]
    finally:
        os.kill(process, signal.SIGCONT)

    assert [one["status"] for one in waiting] == ["PENDING"] * 2
    await asyncio.gather(*paying)
    assert (await names.until(customer, f"{name}-a"))["reason"] == "not_permitted"
    assert (await names.until(customer, f"{name}-b"))["status"] == "SUCCESS"


async def test_a_changed_list_declines_an_open_payment_and_opens_a_case_about_a_paid_one(
    names: Edge, countersign: Command, folder: Path, name: str
):
    customer, payee = await customer_of(names, name), f"payee-{name}"
    paid = await names.pay(customer, name, to_name="Wilhelmina Ashgrove", to_account=payee)
    assert paid.json()["status"] == "SUCCESS"
    waiting = {"amount": "5200", "to_name": "Wilhelmina Ashgrove", "to_account": f"{payee}-new"}
    await names.pay(customer, f"{name}-open", **waiting)
    await _until_a_code_is_required(names, customer, f"{name}-open")

    _list(folder, '1007,"ASHGROVE, Wilhelmina","individual","DEMO"' + ",-0- " * 8)

    row = await _review_of(countersign, name)
    assert "1007" in str(row)
    assert "shgrove" not in str(row).lower()
    stopped = await names.until(customer, f"{name}-open")
    assert (stopped["status"], stopped["reason"]) == ("DECLINED", "not_permitted")
    late = await names.pay(customer, f"{name}-open", otp_code=CODE, **waiting)
    assert late.json()["status"] == "DECLINED"
    # What was paid is not taken back: its case is for people.
    assert (await names.payment(customer, name))["status"] == "SUCCESS"


async def _until_a_code_is_required(edge: Edge, customer: Customer, transaction: str) -> None:
    """Wait until a payment is open: assessed, and without its code."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            if (await edge.payment(customer, transaction)).get("status") == "OTP_REQUIRED":
                return
            await asyncio.sleep(0.2)


async def _review_of(countersign: Command, transaction: str) -> dict[str, Any]:
    """Return a payment's case, once there is one."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            _, shown = await countersign.json("show", transaction)
            found = [one for one in shown["timeline"] if one["event"] == "REVIEW_OPENED"]
            if found:
                return dict(found[0])
            await asyncio.sleep(1)


def _list(folder: Path, line: str) -> None:
    """Add an entry to the list, as a new version: the file first, then its manifest."""
    manifest = json.loads((folder / "demo.json").read_text())
    content = (folder / "sdn.csv").read_text().rstrip("\n") + f"\n{line}\n"
    (folder / "sdn-2.csv").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    manifest["files"]["entries"] = {"file": "sdn-2.csv", "sha256": digest}
    manifest["version"] = "2026-12-01"
    (folder / "new.tmp").write_text(json.dumps(manifest))
    (folder / "new.tmp").replace(folder / "demo.json")
