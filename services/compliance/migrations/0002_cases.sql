-- Review cases: what must be decided, by when, and by which two people. {service} is the service's role.

-- What cases need of a payment. `seen_at` is null while a case names the payment: evidence outlives
-- the history.
alter table known_payment
    alter column seen_at drop not null,
    add column transaction_id text,
    add column account        text,
    add column instrument     text,
    add column branch         text,
    add column business_day   date,
    add column score          smallint,
    add column factors        jsonb;
create index known_payment_in_cash on known_payment (user_id, business_day)
    where instrument = 'CASH' and confirmed_at is not null;

create table review_case (
    id            uuid        primary key,
    kind          text        not null check (kind in ('SAR', 'CTR')),
    user_id       text        not null,
    business_day  date        check ((business_day is not null) = (kind = 'CTR')),
    state         text        not null default 'OPEN'
                              check (state in ('OPEN', 'ASSIGNED', 'ESCALATED', 'CLOSED')),
    outcome       text        check (outcome in ('FILED', 'NOT_SUSPICIOUS')),
    detected_at   timestamptz not null,
    suspect_known boolean     not null default true,
    due_on        date        not null,
    assignee      text,
    amends        uuid        references review_case (id) on delete set null,
    version       integer     not null default 1,
    opened_at     timestamptz not null default now(),
    closed_at     timestamptz,
    check ((state = 'CLOSED') = (outcome is not null)),
    check ((state = 'CLOSED') = (closed_at is not null)),
    check (state <> 'ASSIGNED' or assignee is not null)
);
-- One undecided case a user, and one a user and business day for cash.
create unique index review_case_of_user on review_case (user_id)
    where kind = 'SAR' and state <> 'CLOSED';
create unique index review_case_of_day on review_case (user_id, business_day)
    where kind = 'CTR' and state <> 'CLOSED';
create index review_case_due on review_case (due_on, id) where state <> 'CLOSED';
create index review_case_closed on review_case (due_on, id) where state = 'CLOSED';
create index review_case_by_user on review_case (user_id, business_day);
create index review_case_by_time on review_case (kind, detected_at, id);
create index review_case_by_end on review_case (closed_at) where closed_at is not null;

create table case_payment (
    kind       text        not null,
    payment_id uuid        not null,
    case_id    uuid        not null references review_case (id) on delete cascade,
    reasons    text[]      not null,
    linked_at  timestamptz not null default now(),
    primary key (kind, payment_id)
);
create index case_payment_of_case on case_payment (case_id, payment_id);

-- What people did and read, and their notes: added to, never changed.
create table case_entry (
    id      uuid        primary key default gen_random_uuid(),
    case_id uuid        not null references review_case (id) on delete cascade,
    at      timestamptz not null default now(),
    by      text        not null,
    act     text        not null,
    text    text        check (char_length(text) between 1 and 4000)
);
create index case_entry_of_case on case_entry (case_id, at, id);
create index case_entry_by_time on case_entry (at, id);

create function refuse_step_of_case() returns trigger language plpgsql as $$
begin
    raise exception 'case %: no way from % (version %) to % (version %)',
        old.id, old.state, old.version, new.state, new.version;
end $$;
create trigger case_steps before update on review_case for each row
    when (old.state = 'CLOSED' or new.version <> old.version + 1 or not (
        new.state = old.state or new.state = 'CLOSED' or (old.state, new.state) in (
            ('OPEN', 'ASSIGNED'), ('OPEN', 'ESCALATED'), ('ASSIGNED', 'ESCALATED'))))
    execute function refuse_step_of_case();
create trigger case_closing_needs_two_people before update on review_case for each row
    when (new.state = 'CLOSED')
    execute function require_approval('CASE_CLOSE', '', 'id', 'version', 'outcome');

-- A case that is deleted after its years leaves its payments to the history's retention.
create function release_evidence() returns trigger language plpgsql as $$
begin
    update known_payment set seen_at = now()
    where payment_id = old.payment_id and not exists (
        select from case_payment where payment_id = old.payment_id and kind <> old.kind);
    return old;
end $$;
create trigger evidence_is_released after delete on case_payment for each row
    execute function release_evidence();

grant select, delete on review_case to {service};
grant insert (id, kind, user_id, business_day, detected_at, due_on, amends) on review_case to {service};
grant update (state, outcome, suspect_known, due_on, assignee, version, closed_at)
    on review_case to {service};
grant select, insert, delete, update (reasons) on case_payment to {service};
grant select, insert, delete on case_entry to {service};
