"""The contract of a partner bank: its document is consistent, its samples are valid and signed."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from contracts.partner_samples import BANK, FOLDER, sample_files
from kafka_access.partners import rights_of, topics_for
from ops.clients.partner_contract import asyncapi, contract_files
from ops.clients.partner_files import Connection
from ops.domain.partners import Profile
from partner_messages.errors import BadSignature
from partner_messages.keys import Keys
from partner_messages.records import verified

TEXTS = {path.relative_to(FOLDER).as_posix(): text for path, text in sample_files().items()}
SAMPLES = {
    name: json.loads(text) for name, text in TEXTS.items() if re.match("samples/[1-5]", name)
}
KEYS = json.loads(TEXTS["samples/keys.json"])
NOW = datetime(2026, 3, 9, 13, tzinfo=UTC)
PROFILE = Profile(
    partner="west-bank",
    format="json",
    partitions=3,
    account_prefixes=("west-",),
    answer_within_s=77,
    enquire_after_s=333,
    keys=KEYS[BANK],
)
CONNECTION = Connection("one:9093,two:9093", "ca.pem", "https://gateway.example")


def references(node):
    if isinstance(node, dict):
        yield from (node[name] for name in node if name == "$ref")
        node = node.values()
    for child in node if not isinstance(node, str | int | float | bool | None) else ():
        yield from references(child)


@pytest.mark.parametrize("message_format", ["json", "iso20022"])
def test_the_document_is_asyncapi_3_and_its_references_exist(message_format):
    document = asyncapi(replace(PROFILE, format=message_format), CONNECTION)
    # FastStream requires a `pathname` of servers, which AsyncAPI does not.
    ApplicationSchema.model_validate(document | {"servers": {}})
    assert document["asyncapi"] == "3.0.0"
    found = set(references(document))
    assert len(found) > 5
    for reference in found:
        part = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_the_document_names_the_topics_and_rights_of_the_bank():
    document = asyncapi(PROFILE, CONNECTION)
    topics = {one["address"] for one in document["channels"].values()}
    assert topics == {topic.name for topic in topics_for("west-bank", 1, 1)}
    rights = {one[2:] for one in rights_of("west-bank") if one.principal == "partner-west-bank"}
    words = {"receive": "READ", "send": "WRITE"}
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        address = document["channels"][channel]["address"]
        assert (address, words[operation["action"]]) in rights


def test_the_document_says_what_holds_for_this_bank():
    text = yaml.safe_load(contract_files(PROFILE, CONNECTION)["asyncapi-west-bank.yaml"])["info"]
    for part in ("77 s", "333 s", "6 MiB/s", "`partner-west-bank.`", "/partners/west-bank"):
        assert part in text["description"]
    assert "pacs.008" not in text["description"]
    iso = asyncapi(replace(PROFILE, format="iso20022"), CONNECTION)["info"]["description"]
    assert "pacs.008.001.08" in iso
    assert "application/xml" in iso


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_fits_its_schema_and_is_signed(name):
    record = SAMPLES[name]
    schema = json.loads(TEXTS[f"schemas/{record['headers']['ce_type']}.json"])
    jsonschema.validate(json.loads(record["value"]), schema)
    sender = "countersign" if "instruction" in name else BANK
    found = [(key, text.encode()) for key, text in record["headers"].items()]
    value, keys = record["value"].encode(), Keys.of_jwks(KEYS[sender])
    assert verified(record["topic"], found, value, keys, NOW).type == record["headers"]["ce_type"]
    with pytest.raises(BadSignature):
        verified(record["topic"].replace(BANK, "west-bank"), found, value, keys, NOW)
    with pytest.raises(BadSignature):
        verified(record["topic"], found, value + b" ", keys, NOW)


def test_a_bank_with_iso_20022_gets_the_elements_and_the_published_schemas():
    texts = contract_files(replace(PROFILE, format="iso20022"), CONNECTION)
    kinds = ("pacs.008.001.08", "pacs.002.001.10", "pacs.004.001.10", "camt.054.001.08")
    for kind in kinds:
        assert f"urn:iso:std:iso:20022:tech:xsd:{kind}" in texts[f"schemas/{kind}.xsd"]
        assert kind in texts["asyncapi-west-bank.yaml"]
    assert "`PmtId/UETR`" in texts["asyncapi-west-bank.yaml"]


def test_there_are_five_samples_of_three_types():
    assert len(SAMPLES) == 5
    assert len({one["headers"]["ce_type"] for one in SAMPLES.values()}) == 3
