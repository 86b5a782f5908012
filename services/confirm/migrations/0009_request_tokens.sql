-- The encryptions (`jti`) of requests, and what each was for: under another idempotency key the same
-- one is a replay. A day covers the five minutes of an encryption and the life of its command.
create table request_token (
    user_id         text        not null,
    token_id        text        not null,
    idempotency_key text        not null,
    transaction_id  text        not null,
    used_at         timestamptz not null default now(),
    primary key (user_id, token_id)
);
create index request_token_used_at on request_token (used_at);
grant select, insert (user_id, token_id, idempotency_key, transaction_id), delete
    on request_token to {service};
