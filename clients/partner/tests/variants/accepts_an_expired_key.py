"""A bank that does not look at the time at which a key expires."""

from bank import Bank, main


class AcceptsAnExpiredKey(Bank):
    def read(self, record, jwks, now):
        forever = [{name: one[name] for name in one if name != "exp"} for one in jwks["keys"]]
        return super().read(record, {"keys": forever}, now)


main(AcceptsAnExpiredKey)
