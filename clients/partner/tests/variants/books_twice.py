"""A bank that books an instruction again whenever it comes."""

from bank import Bank, main


class BooksTwice(Bank):
    def read(self, record, jwks, now):
        instruction = super().read(record, jwks, now)
        self.book.execute("delete from transfer where uetr = ?", [instruction.uetr])
        return instruction


main(BooksTwice)
