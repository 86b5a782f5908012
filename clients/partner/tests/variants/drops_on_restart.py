"""A bank that commits Kafka's offsets before it has booked anything."""

import asyncio

from bank import Bank, main


class DropsOnRestart(Bank):
    async def handle(self, records):
        if records:
            await self.consumer.commit()
        for record in records or [None]:
            await super().handle([record] if record else [])
            await asyncio.sleep(0.2)


main(DropsOnRestart)
