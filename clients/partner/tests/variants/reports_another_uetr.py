"""A bank whose reports name a UETR that it made itself."""

from uuid import uuid4

from bank import Bank, main


class ReportsAnotherUetr(Bank):
    def report(self, transfer):
        super().report({**transfer, "uetr": str(uuid4())})


main(ReportsAnotherUetr)
