-- Partner banks that take their instructions from a Kafka topic. Everything about one is in its row.

create table kafka_partner (
    partner          text        primary key check (partner ~ '^[a-z0-9-]{3,32}$'),
    format           text        not null check (format in ('json', 'iso20022')),
    partitions       integer     not null check (partitions between 1 and 64),
    account_prefixes jsonb       not null check (jsonb_typeof(account_prefixes) = 'array'),
    answer_within_s  integer     not null check (answer_within_s > 0),
    enquire_after_s  integer     not null check (enquire_after_s >= answer_within_s),
    -- The bank's public keys, a JSON Web Key Set.
    keys             jsonb       not null check (jsonb_typeof(keys -> 'keys') = 'array'),
    suspended_at     timestamptz,
    version          integer     not null default 1 check (version >= 1),
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now()
);

grant select, insert, update on kafka_partner to {service};
