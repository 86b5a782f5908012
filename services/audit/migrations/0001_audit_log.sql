-- One row per event, never changed. The service's role may read it and call append_entries;
-- it owns nothing and has no INSERT of its own.

create table audit_log (
    id          bigint      generated always as identity primary key,
    event       text        not null check (event ~ '^[A-Z][A-Z_]{1,63}$'),
    payment_id  uuid,
    tx_id       text        check (tx_id ~ '^[A-Za-z0-9._:-]{1,64}$'),
    user_id     text        check (length(user_id) between 1 and 128),
    reference   text,
    metadata    jsonb       not null check (jsonb_typeof(metadata) = 'object'),
    created_at  timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    event_id    uuid        not null unique,
    topic       text        not null,
    "partition" integer     not null check ("partition" >= 0),
    "offset"    bigint      not null check ("offset" >= 0),
    check ((payment_id is null) = (tx_id is null)),
    check ((payment_id is null) = (user_id is null))
);

create index audit_log_payment on audit_log (payment_id, created_at, id) where payment_id is not null;
-- Rows lie on the disk in the order in which they came: a block range index costs next to nothing.
create index audit_log_recorded on audit_log using brin (recorded_at) with (pages_per_range = 32);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is append-only: % refused', tg_op
        using errcode = 'insufficient_privilege';
end $$;

create trigger audit_log_append_only before update or delete or truncate on audit_log
    for each statement execute function refuse_change();
-- Also where a session calls itself a replica, in which ordinary triggers sleep.
alter table audit_log enable always trigger audit_log_append_only;

-- An event that is already there is passed over: its id is unique for ever.
create function append_entries(entries json) returns void
    language sql security definer set search_path = {service}, pg_temp as $$
    insert into audit_log (event, payment_id, tx_id, user_id, reference, metadata, created_at,
                           event_id, topic, "partition", "offset")
    select event, payment_id, tx_id, user_id, reference, metadata, created_at,
           event_id, topic, "partition", "offset"
    from rows from (json_to_recordset(entries) as (
             event text, payment_id uuid, tx_id text, user_id text, reference text, metadata jsonb,
             created_at timestamptz, event_id uuid, topic text, "partition" int, "offset" bigint
         )) with ordinality as entry (
             event, payment_id, tx_id, user_id, reference, metadata,
             created_at, event_id, topic, "partition", "offset", place)
    order by place
    on conflict (event_id) do nothing
$$;

revoke all on function append_entries(json) from public;
grant execute on function append_entries(json) to {service};
grant select on audit_log to {service};
