"""A bank that believes every record on its topic."""

from bank import Bank, main


class IgnoresSignatures(Bank):
    def read(self, record, jwks, now):
        return self.partner.format.read_instruction(record.value or b"")


main(IgnoresSignatures)
