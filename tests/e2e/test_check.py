"""`countersign check --full`: a correct system is clean, and each planted violation is found."""

from uuid import UUID

import psycopg
import pytest

from local_stack.stack import Stack
from testbed.command import Command
from testbed.edge import CODE, Customer, Edge, key_of

pytestmark = pytest.mark.stack

PLANTED = {
    "I6": (
        "confirm",
        "update payment_state set settlement_version = 0 where id = %(id)s",
        "update payment_state set settlement_version = %(settlement_version)s where id = %(id)s",
    ),
    "I7": (
        "confirm",
        "update payment_state set answer_body = answer_body || ' ' where id = %(id)s",
        "update payment_state set answer_body = rtrim(answer_body) where id = %(id)s",
    ),
    "I10": (
        "otp",
        "update challenge set payee = 'mallory' where payment_id = %(id)s",
        "update challenge set payee = 'payee-new' where payment_id = %(id)s",
    ),
    "I12": (
        "risk",
        "update assessment set score = score - 1 where id = %(id)s",
        "update assessment set score = score + 1 where id = %(id)s",
    ),
    "I13": (
        "notification",
        (
            "update delivery set template = 'declined' where template = 'confirmed'"
            " and payment_id = %(id)s"
        ),
        (
            "update delivery set template = 'confirmed' where template = 'declined'"
            " and payment_id = %(id)s"
        ),
    ),
    "I5": (
        "settlement",
        (
            "update consumed set handled = handled - 1 where topic = 'settlement-queue'"
            " and handled = (select max(handled) from consumed where topic = 'settlement-queue')"
        ),
        "update consumed set handled = handled + 1 where handled < next_offset - first_offset",
    ),
}
"""By invariant: service, the statement that plants the fault, and the one that reverts it."""


async def settled(edge: Edge, name: str) -> Customer:
    """Make a payment that needs a code, and wait until it is settled."""
    (customer,) = await edge.open_customers(name, 1, 1_000_000_00)
    order = {"amount": "5200.00", "to_account": "payee-new"}
    assert (await edge.pay(customer, name, **order)).status_code == 403
    assert (await edge.pay(customer, name, **order, otp_code=CODE)).status_code == 200
    assert (await edge.pay(customer, name, **order, otp_code=CODE)).status_code == 200
    assert (await edge.until(customer, name, "SETTLED"))["settlement_status"] == "SETTLED"
    return customer


def write(system: Stack, service: str, statement: str, **parameters: object) -> None:
    """Write without triggers, as a database fault would; at least one row must change."""
    with psycopg.connect(system.description().admin_dsn) as admin:
        admin.execute(f"set search_path to {service}")
        admin.execute("set session_replication_role = replica")
        assert admin.execute(statement, parameters).rowcount > 0, statement


async def facts_of(edge: Edge, name: str) -> dict[str, object]:
    """Return the parameters for planting."""
    (payment,) = (await edge.admin("confirm", "/payments", transaction_id=name))["payments"]
    return {
        "id": UUID(payment["payment_id"]),
        "settlement_version": payment["settlement_version"],
    }


async def test_a_correct_system_is_clean_and_each_planted_violation_is_found(
    countersign: Command, system: Stack, edge: Edge, name: str
):
    customer = await settled(edge, name)
    order = ("check", "--full", "--grace", "60", "--unfinished-after", "120")
    status, clean = await countersign.json(*order)
    assert (clean["violations"], clean["missing"]) == ([], [])
    assert status == 0
    for invariant in (*PLANTED, "I1", "I2", "I3", "I4", "I8", "I9"):
        assert clean["invariants"][invariant]["checked"] > 0

    facts = await facts_of(edge, name)
    for service, plant, _ in PLANTED.values():
        write(system, service, plant, **facts)
    try:
        status, found = await countersign.json("check", "--full", "--grace", "2")
    finally:
        for service, _, undo in PLANTED.values():
            write(system, service, undo, **facts)
    assert status == 1
    abouts = {invariant: set() for invariant in PLANTED}
    for one in found["violations"]:
        abouts[one["invariant"]].add(one["about"])
    payment = {str(facts["id"])}
    assert {about.partition("/")[0] for about in abouts.pop("I5")} == {"settlement-queue"}
    assert abouts.pop("I7") == {f"{customer.user_id} {key_of(name)}"}
    assert abouts == dict.fromkeys(("I6", "I10", "I12", "I13"), payment)
    assert (await countersign.json(*order))[1]["violations"] == []
