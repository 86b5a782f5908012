-- outside a transaction
create index concurrently if not exists instruction_published on instruction (partner, sent_at, id)
    where next_step in ('PUBLISH', 'AWAIT') and sent_at is not null;
