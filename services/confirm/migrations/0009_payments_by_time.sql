-- outside a transaction
-- The console lists payments newest first. A new row is at the index' end, so it costs an insert little.
create index concurrently if not exists payment_by_time on payment (created_at, id);
