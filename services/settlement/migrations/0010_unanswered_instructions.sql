-- outside a transaction
create index concurrently if not exists instruction_unanswered on instruction (partner, unanswered_since)
    where unanswered_since is not null and due_at is not null;
