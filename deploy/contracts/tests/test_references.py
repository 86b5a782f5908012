"""The references of the client libraries are those of the present code."""

import re

import pytest

from contracts.references import TARGETS, TYPESCRIPT, python_reference, reference_files


def test_both_references_are_up_to_date():
    stale = [path for path, text in reference_files().items() if path.read_text() != text]
    assert stale == [], "run `make generate`"


def test_the_reference_of_python_has_each_public_name_and_no_private_one():
    import countersign_client  # noqa: PLC0415 - on pytest's path alone

    text = python_reference()
    public = {name for name in countersign_client.__all__ if not name.startswith("_")}
    assert public | {"verify", "InvalidWebhook", "Token"} <= set(
        re.findall(r"^### (\w+)$", text, re.MULTILINE)
    )
    assert not re.search(r"\b_[A-Za-z]", text)


@pytest.mark.parametrize("entry", ["index", "node", "webhooks"])
def test_the_reference_of_typescript_has_each_export_and_no_private_one(entry):
    text = reference_files()[TARGETS / "reference-typescript.md"]
    shown = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    source = (TYPESCRIPT / f"src/{entry}.ts").read_text()
    named = re.findall(
        r"^export (?:async )?(?:class|interface|type|function|const) (\w+)", source, re.MULTILINE
    )
    listed = [
        name.strip().removeprefix("type ")
        for group in re.findall(r"^export (?:type )?\{([^}]*)\}", source, re.MULTILINE)
        for name in group.split(",")
    ]
    assert {*named, *filter(None, listed)} <= shown
    assert "#" not in re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE)
