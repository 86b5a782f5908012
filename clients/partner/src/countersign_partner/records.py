"""Records: an instruction that arrives, a report that leaves (CloudEvents 1.0, binary mode)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from countersign_partner.formats import JSON, Format, Instruction, Malformed
from countersign_partner.signing import SigningKey, sign, verify

INSTRUCTION = "settlement.instruction.v1"
REPORT = "settlement.report.v1"
Headers = list[tuple[str, bytes]]


def texts_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return a record's headers as text."""
    return {name: (raw or b"").decode("utf-8", "replace") for name, raw in headers}


def read_instruction(
    record: Any,  # aiokafka's ConsumerRecord
    jwks: Mapping[str, Any],
    now: datetime,
    form: Format = JSON,
) -> Instruction:
    """Return the instruction of a record. Raises BadSignature, then Malformed."""
    headers = texts_of(record.headers)
    verify(record.value or b"", topic=record.topic, headers=headers, jwks=jwks, now=now)
    if headers.get("ce_type") != INSTRUCTION:
        raise Malformed(f"ce_type: must be {INSTRUCTION}")
    return form.read_instruction(record.value or b"")


def signed_headers(  # noqa: PLR0913 - each is a header
    value: bytes,
    *,
    topic: str,
    ce_type: str,
    source: str,
    key: SigningKey,
    now: datetime,
    content_type: str = JSON.content_type,
) -> Headers:
    """Return the headers of a record with this value."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_type": ce_type,
        "ce_source": source,
        "ce_time": now.isoformat(),
        "content-type": content_type,
    }
    headers["signature"] = sign(value, topic=topic, headers=headers, key=key)
    return [(name, text.encode()) for name, text in headers.items()]
