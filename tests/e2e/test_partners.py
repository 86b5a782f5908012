"""A partner bank on Kafka is added, rotated and suspended while the system runs."""

import asyncio
import json
import re

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer

from partner_messages.keys import Keys, SigningKey
from service_runtime.brokers import Brokers

pytestmark = pytest.mark.stack
BANK = "west-bank"
AUDITED_WITHIN_S = 10


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(Keys.of([SigningKey.of_seed("west-1", b"w" * 32).public()]).jwks()))
    return path


def login_of(folder):
    """What a bank finds in its folder."""
    text = (folder / "partner.properties").read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    user, password = re.findall(r'"([^"]+)"', lines["sasl.jaas.config"])
    authority = str(folder / lines["ssl.truststore.location"])
    return Brokers(lines["bootstrap.servers"], user, password, authority), lines


async def audited(system):
    async with await psycopg.AsyncConnection.connect(system.description().admin_dsn) as database:
        rows = await database.execute(
            "select event from audit.audit_log where metadata->>'about' = %s", [BANK]
        )
        return {event for (event,) in await rows.fetchall()}


async def test_a_bank_is_added_rotated_and_suspended_while_the_system_runs(
    system, countersign, keys, tmp_path
):
    out = tmp_path / "bank"
    add = ("partners", "add", BANK, "--keys", str(keys), "--prefix", "west-", "--out", str(out))
    status, shown = await countersign.json(*add)
    assert status == 0, shown
    assert shown["asyncapi"] == str(out / "asyncapi-west-bank.yaml")
    brokers, lines = login_of(out)
    topic = lines["countersign.instructions.topic"]
    async with AIOKafkaConsumer(topic, group_id=lines["group.id"], **brokers.arguments) as consumer:
        assert len(consumer.assignment()) == 4

    status, _ = await countersign.json(*add)
    assert (status, login_of(out)[0]) == (0, brokers)
    status, _, error = await countersign(*add, "--format", "iso20022")
    assert (status, "format: west-bank exists with json" in error) == (1, True)

    status, _ = await countersign.json("partners", "rotate", BANK, "--out", str(out))
    assert status == 0
    assert await brokers.refusal()
    assert await login_of(out)[0].refusal() is None

    for act in ("suspend", "resume"):
        status, profile = await countersign.json("partners", act, BANK)
        assert (status, profile["suspended_at"] is None) == (0, act == "resume")
    _, listed = await countersign.json("partners", "list")
    assert [one["partner"] for one in listed["partners"] if one["account_prefixes"] == ["west-"]]
    wanted = ("ADDED", "PASSWORD_REPLACED", "SUSPENDED", "RESUMED")
    async with asyncio.timeout(AUDITED_WITHIN_S):
        while not {f"PARTNER_{one}" for one in wanted} <= await audited(system):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
