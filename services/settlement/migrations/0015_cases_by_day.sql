-- outside a transaction
create index concurrently if not exists reconciliation_case_by_day
    on reconciliation_case (partner, day, opened_at, id);
