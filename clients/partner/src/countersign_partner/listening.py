"""`listen`: print what arrives, and whether its signature is valid."""

from datetime import UTC, datetime

from countersign_partner.jwks import KeySet
from countersign_partner.kafka import consumer_of
from countersign_partner.properties import Partner
from countersign_partner.records import texts_of
from countersign_partner.signing import BadSignature, verify


async def listen(partner: Partner) -> None:
    """Print every instruction from now on, beside the bank's own consumer."""
    keys = KeySet(partner.jwks_url)
    # A group of its own: the bank's own group keeps its position.
    consumer = consumer_of(partner, f"{partner.group.rpartition('.')[0]}.listen")
    async with consumer:
        print(f"listening to {partner.instructions}; Ctrl-C ends it", flush=True)
        async for record in consumer:
            headers = texts_of(record.headers)
            now = datetime.now(UTC)
            try:
                kid = verify(
                    record.value or b"",
                    topic=record.topic,
                    headers=headers,
                    jwks=await keys.at(now),
                    now=now,
                )
                judged = f"valid, key {kid}"
            except BadSignature as bad:
                judged = f"BAD: {bad}"
            place = f"{record.partition}/{record.offset}"
            print(f"{place} {headers.get('ce_time')} {headers.get('ce_type')} {judged}")
            print((record.value or b"").decode("utf-8", "replace"), flush=True)
