-- Dead letters that two people have given up, with the reason (decision 0045). The id is that of the
-- proposal; a row lives longer than a dead letter stays in its topic.
create table discard (
    id           uuid        primary key,
    reason       text        not null check (length(reason) between 10 and 280),
    places       jsonb       not null check (jsonb_array_length(places) between 1 and 100),
    discarded_at timestamptz not null default now()
);
create index discard_age on discard (discarded_at, id);
create trigger discard_needs_two_people before insert on discard for each row
    execute function require_approval('DEAD_LETTERS_DISCARD', '', 'places', 'reason');
grant select, delete on discard to {service};
grant insert (id, reason, places) on discard to {service};
