-- outside a transaction
create index concurrently if not exists booking_by_day on booking (partner, day)
    where not is_reversal;
