"""`verify` on a real Kafka: the examples pass, and each broken bank fails by the rule it breaks."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from defusedxml import ElementTree

from countersign_partner.signing import SigningKey
from local_stack.kafka import jars

# The Java example is compiled with the jars of the native Kafka.
pytestmark = [pytest.mark.stack, pytest.mark.native]

HOME = Path(__file__).parent.parent
VARIANTS = HOME / "tests" / "variants"
BROKEN = {
    "books_twice": "booked-once",
    "ignores_signatures": "signature",
    "reports_another_uetr": "reports",
    "drops_on_restart": "restart",
    "goes_back_to_pending": "pending",
    "accepts_an_expired_key": "expired-key",
}


@pytest.fixture(scope="module")
def kafka(infrastructure, tmp_path_factory) -> Path:
    """The configuration of a client that may do everything on the tests' Kafka."""
    brokers = infrastructure.brokers
    file = tmp_path_factory.mktemp("sandbox") / "kafka.properties"
    credential = f'username="{brokers.user}" password="{brokers.password}"'
    login = "org.apache.kafka.common.security.scram.ScramLoginModule"
    lines = {
        "bootstrap.servers": infrastructure.kafka,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f"{login} required {credential};",
    }
    file.write_text("".join(f"{name}={text}\n" for name, text in lines.items()))
    return file


@pytest.fixture(scope="module")
async def verified(kafka, tmp_path_factory):
    """The broken rules of every bank; all are verified at the same time."""
    python = [sys.executable, "{file}", "{properties}", "bank-1.pem", "{folder}/book.db"]
    commands = {
        "python": [one.replace("{file}", str(HOME / "examples/python/bank.py")) for one in python]
    }
    commands["python, iso20022"] = commands["python"]
    for name in BROKEN:
        commands[name] = [one.replace("{file}", str(VARIANTS / f"{name}.py")) for one in python]
    folder = tmp_path_factory.mktemp("keys")
    commands["java"] = [*compiled(folder), "{properties}", "bank-1.pem", "{folder}/book.jsonl"]
    key = SigningKey.new("bank-1")
    key.write(folder / "bank-1.pem")
    (folder / "keys.json").write_text(json.dumps({"keys": [key.jwk()]}))
    runs = [verify(kafka, folder, name, command) for name, command in commands.items()]
    return dict(zip(commands, await asyncio.gather(*runs), strict=True))


def compiled(folder):
    """Return the command of the Java example, compiled with the jars of the tests' Kafka."""
    classes = f"{jars()}/*"
    source = HOME / "examples" / "java" / "Bank.java"
    subprocess.run(["javac", "-d", folder, "-cp", classes, source], check=True)
    small = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *small, "-cp", f"{folder}:{classes}", "Bank"]


def options_of(name):
    """Return the options of a run: an example is given time, a broken bank only its rule."""
    if name in BROKEN:
        return ["--within", "5", "--only", BROKEN[name]]
    return ["--within", "30", "--format", "iso20022" if name.endswith("iso20022") else "json"]


async def verify(kafka, folder, name, command):
    junit = folder / f"{name}.xml"
    paths = [HOME / "src", HOME / "examples" / "python"]
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "countersign_partner", "verify", "--junit", junit],
        *options_of(name),
        *[kafka, "keys.json", "--", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    cases = ElementTree.parse(junit).getroot().iter("testcase") if junit.exists() else ()
    broken = {case.get("name"): case.find("failure").get("message") for case in cases if len(case)}
    return process.returncode, broken, output.decode()


@pytest.mark.parametrize("example", ["python", "python, iso20022", "java"])
def test_an_example_passes_every_rule(verified, example):
    status, broken, output = verified[example]
    assert (status, broken) == (0, {}), output
    assert "15 of 15 rules passed" in output


@pytest.mark.parametrize(("bank", "rule"), BROKEN.items())
def test_a_broken_bank_fails_by_the_rule_that_it_breaks(verified, bank, rule):
    status, broken, output = verified[bank]
    assert status == 1, output
    assert rule in broken, output
