"""`answer`: a scripted bank, to see the whole way work before there is one. It keeps no book."""

from datetime import UTC, datetime
from hashlib import sha256

from countersign_partner.formats import Instruction, Malformed, Report
from countersign_partner.jwks import KeySet
from countersign_partner.kafka import consumer_of, producer_of
from countersign_partner.properties import Partner
from countersign_partner.records import REPORT, read_instruction, signed_headers
from countersign_partner.signing import BadSignature, SigningKey


async def answer(partner: Partner, key: SigningKey, status: str, reason: str | None) -> None:
    """Answer every instruction with one status until Ctrl-C."""
    keys = KeySet(partner.jwks_url)
    async with consumer_of(partner) as consumer, producer_of(partner) as producer:
        print(f"answering {status} to {partner.instructions}; Ctrl-C ends it", flush=True)
        async for record in consumer:
            now = datetime.now(UTC)
            try:
                instruction = read_instruction(record, await keys.at(now), now, partner.format)
            except (BadSignature, Malformed) as refused:
                print(f"refused {record.partition}/{record.offset}: {refused}", flush=True)
                continue
            value = partner.format.write_report(_report(instruction, status, reason))
            headers = signed_headers(
                value,
                topic=partner.reports,
                ce_type=REPORT,
                source=f"/partners/{partner.id}",
                key=key,
                now=now,
                content_type=partner.format.content_type,
            )
            await producer.send_and_wait(
                partner.reports, value, key=instruction.uetr.encode(), headers=headers
            )
            print(f"{status} {instruction.uetr}", flush=True)
            await consumer.commit()


def _report(instruction: Instruction, status: str, reason: str | None) -> Report:
    """Return the same report for the same instruction: without a book, nothing else is kept."""
    is_accepted = status == "ACCEPTED"
    return Report(
        uetr=instruction.uetr,
        status=status,
        reason=None if is_accepted else reason,
        bank_reference=sha256(instruction.uetr.encode()).hexdigest()[:12].upper(),
        booked_at=instruction.requested_at.isoformat() if is_accepted else None,
    )
