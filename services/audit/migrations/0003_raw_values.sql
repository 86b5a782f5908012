-- An event of a payment is stored as its record's bytes and decoded when it is read. Events with sealed
-- fields, and those that belong to no payment, are stored as before: as columns.

alter table audit_log rename to audit_entry;
alter table audit_entry add column value bytea;
alter table audit_entry alter column metadata drop not null;
alter table audit_entry drop constraint audit_log_check, drop constraint audit_log_check1;
alter table audit_entry add constraint raw_or_columns check (
    case when value is null
         then metadata is not null
              and (payment_id is null) = (tx_id is null) and (payment_id is null) = (user_id is null)
         else payment_id is not null and num_nonnulls(metadata, tx_id, user_id, reference) = 0
    end);

-- An event's id is unique within its topic: a record under another topic keeps no row out.
create unique index audit_entry_event on audit_entry (event_id, topic);
alter table audit_entry drop constraint audit_log_event_id_key;
-- A timeline has some ten rows, which are sorted when they are read.
create index audit_entry_payment on audit_entry (payment_id) where payment_id is not null;
drop index audit_log_payment;

-- Whatever was stored can be read: a value that is no JSON is null and stops no reader. Its block is a
-- subtransaction, so that it may run in no parallel worker.
create function decoded(value bytea) returns jsonb
    language plpgsql immutable strict as $$
begin
    return convert_from(value, 'UTF8')::jsonb;
exception when others then
    return null;
end $$;

create view audit_log as
select entry.id,
       case when entry.value is null then entry.event
            when body->>'payment_id' is distinct from entry.payment_id::text then 'UNREADABLE'
            when entry.event = 'SETTLEMENT' then 'SETTLEMENT_' || (body->>'status')
            when entry.event = 'NOTIFICATION' then 'NOTIFICATION_' || upper(body->>'result')
            when entry.event = 'OTP_LOCK' and (body->>'is_locked')::boolean then 'OTP_LOCKED'
            when entry.event = 'OTP_LOCK' then 'OTP_UNLOCKED'
            else entry.event end as event,
       entry.payment_id,
       coalesce(entry.tx_id, body->>'transaction_id') as tx_id,
       coalesce(entry.user_id, body->>'user_id') as user_id,
       case when entry.event = 'PAYMENT_CONFIRMED'
            then coalesce(entry.reference, body->>'reference') else entry.reference end as reference,
       case when entry.value is null then entry.metadata
            else coalesce(body->'context', '{}') || coalesce(body->'metadata', '{}')
                 || (body - '{payment_id,transaction_id,user_id,reference,context,metadata}'::text[])
       end as metadata,
       entry.created_at, entry.recorded_at, entry.event_id, entry.topic, entry."partition",
       entry."offset"
from audit_entry as entry
-- `offset 0`: decoded once a row, not once a column.
left join lateral (
    select jsonb_strip_nulls(
               case when entry.event = 'RISK_ASSESSED' and raw ? 'score'
                    then raw - 'score' || jsonb_build_object('risk_score', raw->'score')
                    else raw end) as body
    from (select decoded(entry.value) as raw offset 0) as parsed
    where jsonb_typeof(raw) = 'object' offset 0) as readable on true;

create or replace function append_entries(entries json) returns void
    language sql security definer set search_path = {service}, pg_temp as $$
    insert into audit_entry (event, payment_id, tx_id, user_id, reference, metadata, created_at,
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
    on conflict (event_id, topic) do nothing
$$;

create function append_raw(names text[], payments uuid[], times timestamptz[], ids uuid[],
                           topics text[], partitions int[], offsets bigint[], contents bytea[])
    returns void language sql security definer set search_path = {service}, pg_temp as $$
    insert into audit_entry (event, payment_id, created_at, event_id, topic, "partition", "offset",
                             value)
    select event, payment_id, created_at, event_id, topic, "partition", "offset", value
    from unnest(names, payments, times, ids, topics, partitions, offsets, contents)
         with ordinality as entry (event, payment_id, created_at, event_id, topic, "partition",
                                   "offset", value, place)
    order by place
    on conflict (event_id, topic) do nothing
$$;

create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit_entry is append-only: % refused', tg_op
        using errcode = 'insufficient_privilege';
end $$;

revoke all on function append_raw(text[], uuid[], timestamptz[], uuid[], text[], int[], bigint[],
                                  bytea[]) from public;
grant execute on function append_raw(text[], uuid[], timestamptz[], uuid[], text[], int[], bigint[],
                                     bytea[]) to {service};
grant select on audit_log to {service};
