-- What every service keeps beside its own tables. {service} is both the schema and the service's role.

create table inbox (
    consumer   text        not null,
    event_id   uuid        not null,
    handled_at timestamptz not null default now(),
    primary key (consumer, event_id)
);

create table outbox (
    id            bigserial   primary key,
    topic         text        not null,
    "partition"   integer,
    key           bytea,
    value         bytea,
    headers       jsonb       not null,
    created_at    timestamptz not null default now(),
    claimed_by    text        not null,
    claimed_until timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table dead_letter (
    topic       text        not null,
    "partition" integer     not null,
    "offset"    bigint      not null,
    consumer    text        not null,
    event_id    text,
    reason      text        not null,
    error_class text        not null,
    attempts    integer     not null,
    first_seen  timestamptz not null,
    primary key (topic, "partition", "offset")
);

grant usage on schema {service} to {service};
grant select, insert, delete on inbox to {service};
grant select, insert, update, delete on outbox to {service};
grant usage on sequence outbox_id_seq to {service};
grant select, insert on dead_letter to {service};
