-- A named position in a foreign log or in time. Only the holder of its lease advances it: an epoch
-- that is not the row's belongs to an instance that has lost the lease.
create table cursor (
    name       text        primary key,
    position   text,
    owner      text,
    held_until timestamptz,
    epoch      bigint      not null default 1,
    moved_at   timestamptz not null default now()
);

grant select, insert, update on cursor to {service};

-- What a caller was answered to a request with an Idempotency-Key; a repeat gets the same bytes.
create table http_reply (
    caller          text        not null,
    idempotency_key text        not null,
    fingerprint     bytea       not null,
    status          integer     not null,
    headers         jsonb       not null,
    body            bytea       not null,
    replied_at      timestamptz not null default now(),
    primary key (caller, idempotency_key)
);
create index http_reply_age on http_reply (replied_at);

grant select, insert, delete on http_reply to {service};
