"""The contract of a partner bank's messages: AsyncAPI 3.0 and JSON Schemas, from the models."""

import ast
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from kafka_access.partners import BYTES_PER_S, Names
from ops.clients.partner_files import Connection, PartnerFiles
from ops.domain.partners import Profile
from partner_messages.messages import Instruction, Report, StatementPage

MESSAGES = (Instruction, Report, StatementPage)
_MIB = 1024 * 1024
_CONTENT_TYPES = {"json": "application/json", "iso20022": "application/xml"}
_ISO_MESSAGES = {
    "Instruction": "pacs.008.001.08",
    "Report": "pacs.002.001.10",
    "StatementPage": "camt.054.001.08",
}
_ISO_20022 = files("partner_messages").joinpath("iso20022")
_HEADERS: Mapping[str, Any] = {
    "type": "object",
    "required": [
        *("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"),
        *("content-type", "signature"),
    ],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string"},
        "signature": {"type": "string", "maxLength": 2048},
        "traceparent": {"type": "string"},
        "tracestate": {"type": "string"},
    },
}


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it is."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text_node)


def contract_files(profile: Profile, connection: Connection) -> dict[str, str]:
    """Return the text of each file by its name."""
    document = yaml.dump(
        asyncapi(profile, connection),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return {_name_of(profile): document} | _schema_files(profile.format)


def _schema_files(message_format: str) -> dict[str, str]:
    if message_format == "json":
        return {
            f"schemas/{model.ce_type}.json": json.dumps(_schema(model), indent=2) + "\n"
            for model in MESSAGES
        }
    return {
        f"schemas/{path.name}": path.read_text(encoding="utf-8")
        for path in _ISO_20022.joinpath("schemas").iterdir()
        if path.name.endswith(".xsd")
    }


def write_contract(files_of_bank: PartnerFiles, profile: Profile, connection: Connection) -> Path:
    """Write the contract into a bank's folder; return the path of its AsyncAPI document."""
    for name, text in contract_files(profile, connection).items():
        files_of_bank.write(name, text)
    return files_of_bank.folder / _name_of(profile)


def asyncapi(profile: Profile, connection: Connection) -> dict[str, Any]:
    """Return the document, as the bank sees it: it receives instructions and sends reports."""
    names = Names(profile.partner)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Settlement with {profile.partner}",
            "version": "1.0.0",
            "description": description(profile, connection),
        },
        "defaultContentType": _CONTENT_TYPES[profile.format],
        "servers": _servers(connection),
        "channels": {
            "instructions": _channel(names.instructions, "Instruction"),
            "reports": _channel(names.reports, "Report", "StatementPage"),
            "refused": _channel(names.refused, "Report", "StatementPage"),
        },
        "operations": {
            "receiveInstruction": _operation("receive", "instructions", "Instruction"),
            "sendReport": _operation("send", "reports", "Report"),
            "sendStatement": _operation("send", "reports", "StatementPage"),
            "receiveRefused": _operation("receive", "refused", "Report", "StatementPage"),
        },
        "components": {
            "messages": {model.__name__: _message(model, profile) for model in MESSAGES},
            "schemas": {"Headers": dict(_HEADERS)} | _models(),
            "securitySchemes": {"login": {"type": "scramSha512"}},
        },
    }


def description(profile: Profile, connection: Connection) -> str:
    """Return the rules in words: duties, signatures, refusals, service levels."""
    names = Names(profile.partner)
    return _text("partner_contract.md").format(
        partner=profile.partner,
        answer_within_s=profile.answer_within_s,
        enquire_after_s=profile.enquire_after_s,
        partitions=profile.partitions,
        quota_mib=profile.partitions * BYTES_PER_S // _MIB,
        content_type=_CONTENT_TYPES[profile.format],
        jwks_url=connection.jwks_url,
        refused=names.refused,
        groups=names.groups,
        format_notes=_iso_notes() if profile.format == "iso20022" else "",
    )


def _iso_notes() -> str:
    """Return the general rules, and the table of elements that each module of the format has.

    The modules are read, not imported: their packages are an extra, which the command lacks.
    """
    parts = [_text("partner_contract_iso20022.md")]
    for module in ("transfers", "reports", "statements"):
        source = _ISO_20022.joinpath(f"{module}.py").read_text(encoding="utf-8")
        parts.append(f"{ast.get_docstring(ast.parse(source))}\n")
    return "\n" + "\n".join(parts)


def _text(name: str) -> str:
    return files("ops.clients").joinpath(name).read_text(encoding="utf-8")


def _name_of(profile: Profile) -> str:
    return f"asyncapi-{profile.partner}.yaml"


def _servers(connection: Connection) -> dict[str, Any]:
    protocol = "kafka-secure" if connection.tls_ca else "kafka"
    return {
        f"broker{number}": {
            "host": server.strip(),
            "protocol": protocol,
            "security": [{"$ref": "#/components/securitySchemes/login"}],
        }
        for number, server in enumerate(connection.servers.split(","), start=1)
    }


def _channel(address: str, *messages: str) -> dict[str, Any]:
    return {
        "address": address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, channel: str, *messages: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _message(model: type[Any], profile: Profile) -> dict[str, Any]:
    key = "statement_id" if model is StatementPage else "UETR"
    return {
        "name": model.ce_type,
        "title": model.__name__,
        "summary": model.__doc__,
        "contentType": _CONTENT_TYPES[profile.format],
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": _payload(model, profile.format),
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
    }


def _payload(model: type[Any], message_format: str) -> dict[str, Any]:
    if message_format == "json":
        return {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"type": "string", "description": f"XML of {_ISO_MESSAGES[model.__name__]}"}


def _models() -> dict[str, Any]:
    """Return the schemas of the models and of their parts, which refer to one another."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in MESSAGES],
        ref_template="#/components/schemas/{model}",
    )
    models: dict[str, Any] = schemas["$defs"]
    return models


def _schema(model: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a message; definitions inside, so that it stands alone."""
    schema: dict[str, Any] = model.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
