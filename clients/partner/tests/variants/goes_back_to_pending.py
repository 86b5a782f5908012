"""A bank that reports PENDING after the outcome: its reports leave in another order."""

from bank import Bank, main


class GoesBackToPending(Bank):
    def end_reviews(self, now):
        due = "select uetr from transfer where status = 'PENDING' and due_at <= ?"
        ended = [self.find(row["uetr"]) for row in self.book.execute(due, [now.isoformat()])]
        super().end_reviews(now)
        for before in ended:
            self.report(before)


main(GoesBackToPending)
