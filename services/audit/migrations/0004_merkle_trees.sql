-- Each topic and partition has a Merkle tree over its rows (decision 0042). An append returns what it
-- has added, the service hashes it, and `grow_trees` stores the trees in the same transaction.

create table audit_tree (
    -- 0: rows of before this migration, sealed afterwards by a job; 1: rows since then.
    era         smallint not null check (era in (0, 1)),
    topic       text     not null,
    "partition" integer  not null,
    size        bigint   not null check (size > 0),
    -- Roots of the perfect subtrees, the largest first, 32 bytes each.
    peaks       bytea    not null check (length(peaks) between 32 and 2048 and length(peaks) % 32 = 0),
    primary key (era, topic, "partition")
) with (fillfactor = 20);

-- Leaves that no checkpoint seals yet, one row an append.
create table audit_leaves (
    number bigint generated always as identity primary key,
    -- [[era, topic, partition, size before, leaves], …] in the order of `leaves`.
    trees  json  not null,
    -- 48 bytes each: row id, offset, hash.
    leaves bytea not null
);
alter table audit_leaves alter column leaves set storage external;

-- The trees as the last checkpoint has them, and that checkpoint.
create table audit_seal (
    era         smallint not null,
    topic       text     not null,
    "partition" integer  not null,
    size        bigint   not null,
    peaks       bytea    not null,
    primary key (era, topic, "partition")
);
create table audit_checkpoint (
    is_only boolean     primary key default true check (is_only),
    number  bigint      not null default 0,
    -- SHA-256 of its text, as hex.
    digest  text        not null default '',
    made_at timestamptz not null default clock_timestamp()
);
insert into audit_checkpoint default values;

-- The rows of before, and how far they are sealed.
create table audit_history (
    is_only boolean primary key default true check (is_only),
    last_id bigint  not null,
    done_id bigint  not null default 0
);
insert into audit_history (last_id) select coalesce(max(id), 0) from audit_entry;

-- What is sealed of a row that is stored as columns.
create function stored_columns(tx_id text, user_id text, reference text, metadata jsonb) returns text
    language sql stable as $$ select json_build_array(tx_id, user_id, reference, metadata)::text $$;

-- Both appends are new under their names: no row is added that the caller does not seal. `row_ids` is null
-- where the ids follow one another from `first_id`; `event_ids` and `event_topics` say which rows were
-- added, and are null where all were: aggregates that are not needed would cost 2 µs a row.
drop function append_raw(text[], uuid[], timestamptz[], uuid[], text[], int[], bigint[], bytea[]);
drop function append_entries(json);

create function append_raw(names text[], payments uuid[], times timestamptz[], ids uuid[],
                           topics text[], partitions int[], offsets bigint[], contents bytea[],
                           out added int, out first_id bigint, out row_ids bigint[],
                           out event_ids uuid[], out event_topics text[])
    language sql security definer set search_path = {service}, pg_temp as $$
    with added as (
        insert into audit_entry (event, payment_id, created_at, event_id, topic, "partition",
                                 "offset", value)
        select event, payment_id, created_at, event_id, topic, "partition", "offset", value
        from unnest(names, payments, times, ids, topics, partitions, offsets, contents)
             with ordinality as entry (event, payment_id, created_at, event_id, topic, "partition",
                                       "offset", value, place)
        order by place
        on conflict (event_id, topic) do nothing
        returning id, event_id, topic
    ), counted as (select count(*)::int as rows, min(id) as first, max(id) as last from added)
    select rows, first,
           case when last - first >= rows then (select array_agg(id order by id) from added) end,
           case when rows < cardinality(names)
                then (select array_agg(event_id order by id) from added) end,
           case when rows < cardinality(names)
                then (select array_agg(topic order by id) from added) end
    from counted
$$;

create function append_entries(entries json, out added int, out first_id bigint,
                               out row_ids bigint[], out event_ids uuid[],
                               out event_topics text[], out contents text[])
    language sql security definer set search_path = {service}, pg_temp as $$
    with added as (
        insert into audit_entry (event, payment_id, tx_id, user_id, reference, metadata, created_at,
                                 event_id, topic, "partition", "offset")
        select event, payment_id, tx_id, user_id, reference, metadata, created_at,
               event_id, topic, "partition", "offset"
        from rows from (json_to_recordset(entries) as (
                 event text, payment_id uuid, tx_id text, user_id text, reference text,
                 metadata jsonb, created_at timestamptz, event_id uuid, topic text,
                 "partition" int, "offset" bigint
             )) with ordinality as entry (
                 event, payment_id, tx_id, user_id, reference, metadata,
                 created_at, event_id, topic, "partition", "offset", place)
        order by place
        on conflict (event_id, topic) do nothing
        returning id, event_id, topic, tx_id, user_id, reference, metadata
    )
    select count(*)::int, min(id),
           array_agg(id order by id), array_agg(event_id order by id), array_agg(topic order by id),
           array_agg(stored_columns(tx_id, user_id, reference, metadata) order by id)
    from added
$$;

-- Refused where a tree is not as the caller has read it: the transaction is then tried again.
create function grow_trees(grown_era smallint, topics text[], partitions int[], sizes bigint[],
                           new_sizes bigint[], new_peaks bytea[], trees json, leaves bytea)
    returns void language plpgsql security definer set search_path = {service}, pg_temp as $$
declare
    updated int;
    inserted int;
begin
    update audit_tree as tree set size = grown.new_size, peaks = grown.peaks
    from unnest(topics, partitions, sizes, new_sizes, new_peaks)
         as grown (topic, "partition", size, new_size, peaks)
    where tree.era = grown_era and tree.topic = grown.topic
      and tree."partition" = grown."partition" and tree.size = grown.size;
    get diagnostics updated = row_count;
    insert into audit_tree (era, topic, "partition", size, peaks)
    select grown_era, grown.topic, grown."partition", grown.new_size, grown.peaks
    from unnest(topics, partitions, sizes, new_sizes, new_peaks)
         as grown (topic, "partition", size, new_size, peaks)
    where grown.size = 0;
    get diagnostics inserted = row_count;
    if updated + inserted <> cardinality(topics) then
        raise exception 'a tree has grown meanwhile' using errcode = 'serialization_failure';
    end if;
    insert into audit_leaves (trees, leaves) values (grow_trees.trees, grow_trees.leaves);
end $$;

revoke all on function
    append_raw(text[], uuid[], timestamptz[], uuid[], text[], int[], bigint[], bytea[]),
    append_entries(json),
    grow_trees(smallint, text[], int[], bigint[], bigint[], bytea[], json, bytea)
    from public;
grant execute on function
    append_raw(text[], uuid[], timestamptz[], uuid[], text[], int[], bigint[], bytea[]),
    append_entries(json),
    grow_trees(smallint, text[], int[], bigint[], bigint[], bytea[], json, bytea)
    to {service};
grant select on audit_tree to {service};
grant select, delete on audit_leaves to {service};
grant select, insert, update on audit_seal to {service};
grant select, update on audit_checkpoint, audit_history to {service};
