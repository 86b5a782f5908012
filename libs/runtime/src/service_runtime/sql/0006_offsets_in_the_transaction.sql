-- Up to where a consumer has handled each partition; raised in the transaction of the effect. Every
-- record of [first_offset, next_offset) was handled or is a dead letter.
create table consumed (
    consumer     text    not null,
    topic        text    not null,
    "partition"  integer not null check ("partition" >= 0),
    first_offset bigint  not null check (first_offset >= 0),
    next_offset  bigint  not null check (next_offset >= first_offset),
    handled      bigint  not null default 0 check (handled >= 0),
    primary key (consumer, topic, "partition")
-- Each transaction changes a row: in a page with room its new version needs no new index entry.
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

grant select, insert, update on consumed to {service};

-- The inbox is kept by those handlers alone that ask for it. An id is unique within its topic: a
-- record of another topic suppresses nothing.
alter table inbox rename to inbox_by_id;
create table inbox (
    consumer   text        not null,
    topic      text        not null,
    event_id   uuid        not null,
    handled_at timestamptz not null default now(),
    primary key (consumer, topic, event_id)
);
insert into inbox (consumer, topic, event_id, handled_at)
select consumer, 'otp.challenge-requested.v1', event_id, handled_at from inbox_by_id
where consumer = 'otp';
drop table inbox_by_id;
create index inbox_handled on inbox using brin (handled_at)
    with (pages_per_range = 32, autosummarize = on);

grant select, insert, delete on inbox to {service};
