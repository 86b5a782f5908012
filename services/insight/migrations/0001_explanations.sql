-- Explanations (a work table), the model's budget, what chat answers from. {service} is the service's
-- role; insight_reader is the role of chat's queries: it reads, under row security, and nothing else.

create table explanation (
    id              uuid        primary key,  -- the payment's
    user_id         text        not null check (char_length(user_id) between 1 and 128),
    transaction_id  text        not null,
    score           smallint    not null check (score between 0 and 100),
    level           text        not null check (level in ('low', 'medium', 'high', 'critical')),
    shape           jsonb       not null,
    summary         text,
    recommendations jsonb,
    source          text        check (source in ('model', 'template')),
    reason          text,  -- why a template explains
    created_at      timestamptz not null default now(),
    explained_at    timestamptz,
    due_at          timestamptz,
    attempts        integer     not null default 0,
    owner           text,
    lease_until     timestamptz,
    epoch           bigint      not null default 0,
    parked_at       timestamptz,
    last_error      text,
    trace           jsonb       not null default '[]',
    -- What is explained is never due, and the other way round.
    check ((due_at is null) = (explained_at is not null)),
    check ((explained_at is null) = (summary is null)),
    check ((summary is null) = (source is null))
) with (fillfactor = 80);
create index explanation_due on explanation (due_at) where due_at is not null and parked_at is null;
create index explanation_parked on explanation (id) where parked_at is not null;
create index explanation_of_user on explanation (user_id, transaction_id);
create index explanation_by_age on explanation (created_at);

create table model_day (
    day      date    primary key,
    tokens   bigint  not null check (tokens >= 0),
    nano_usd bigint  not null check (nano_usd >= 0),
    calls    integer not null check (calls >= 0)
);

-- What a payment's owner sees of it, by payment.status-changed.v1; no account, no name.
create table known_payment (
    payment_id        uuid        primary key,
    user_id           text        not null,
    transaction_id    text        not null,
    sequence          integer     not null,
    status            text        not null,
    settlement_status text        not null,
    reason            text,
    amount_minor      bigint      not null,
    currency          text        not null,
    created_at        timestamptz not null,
    updated_at        timestamptz not null
) with (fillfactor = 80);
create index known_payment_of_user on known_payment (user_id, created_at);
create index known_payment_by_time on known_payment (created_at);
create index known_payment_by_transaction on known_payment (transaction_id);

create table passage (
    id       integer generated always as identity primary key,
    source   text    not null,
    audience text    not null check (audience in ('all', 'operators')),
    title    text    not null,
    body     text    not null,
    search   tsvector not null generated always as (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'C')
    ) stored
);
create index passage_search on passage using gin (search);
-- How many passages have a lexeme: a rare one says more about what is meant.
create table passage_lexeme (lexeme text primary key, passages integer not null);
create table passage_version (one boolean primary key default true check (one), digest text not null);

grant select, insert, update, delete on explanation, known_payment to {service};
grant select, insert, update on model_day to {service};
grant select, insert, delete on passage, passage_lexeme to {service};
grant select, insert, update on passage_version to {service};

alter table explanation enable row level security;
alter table known_payment enable row level security;
alter table passage enable row level security;
create policy whole on explanation to {service} using (true) with check (true);
create policy whole on known_payment to {service} using (true) with check (true);
create policy whole on passage to {service} using (true) with check (true);

-- A transaction of chat says whom it is for; one that does not sees nothing.
create function may_see(owner text) returns boolean language sql stable as $$
    select current_setting('insight.viewer', true) = 'operator'
        or current_setting('insight.viewer', true) = 'user'
           and owner = current_setting('insight.user_id', true)
$$;
-- Whole days in UTC, counted back from today; both ends are included.
create function in_period(at timestamptz, from_days integer, to_days integer) returns boolean
language sql stable as $$
    select at >= date_trunc('day', now(), 'UTC') - from_days * interval '1 day'
        and at < date_trunc('day', now(), 'UTC') - (to_days - 1) * interval '1 day'
$$;
grant usage on schema insight to insight_reader;
grant select on explanation, known_payment, passage, passage_lexeme to insight_reader;
create policy of_viewer on explanation to insight_reader using (may_see(user_id));
create policy of_viewer on known_payment to insight_reader using (may_see(user_id));
create policy of_viewer on passage to insight_reader
    using (audience = 'all' or current_setting('insight.viewer', true) = 'operator');
