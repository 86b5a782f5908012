-- The tables of the service that the runtime's tests run.
create table tally (
    place      bigserial   primary key,
    event_id   uuid        not null,
    lane       text        not null,
    number     integer     not null,
    written_at timestamptz not null default clock_timestamp()
);

create table task (
    id          uuid        primary key,
    note        text        not null default '',
    due_at      timestamptz,
    attempts    integer     not null default 0,
    owner       text,
    lease_until timestamptz,
    epoch       bigint      not null default 0,
    parked_at   timestamptz,
    last_error  text,
    trace       jsonb
);

grant select, insert, delete on tally to {service};
grant usage on sequence tally_place_seq to {service};
grant select, insert, update, delete on task to {service};
