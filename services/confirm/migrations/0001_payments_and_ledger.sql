-- Payments, accounts and the double-entry ledger: one schema, because a hold and the state that
-- justifies it must be one commit.

create table account (
    id            text   primary key,
    owner         text,
    currency      text   not null check (currency ~ '^[A-Z]{3}$'),
    balance_minor bigint not null default 0,
    minimum_minor bigint default 0,
    check (minimum_minor is null or balance_minor >= minimum_minor)
) with (fillfactor = 80);
create index account_owner on account (owner);

create table payment (
    id                 uuid        primary key,
    user_id            text        not null,
    transaction_id     text        not null,
    idempotency_key    text        not null,
    amount_minor       bigint      not null check (amount_minor > 0),
    currency           text        not null,
    from_account       text        not null references account (id),
    to_account         text        not null check (to_account <> from_account),
    status             text        not null check (status in ('AWAITING_RISK', 'CHALLENGING',
                                       'AWAITING_CODE', 'VERIFYING', 'CONFIRMED', 'DECLINED')),
    version            integer     not null check (version >= 1),
    request_id         uuid        not null,
    reply_partition    integer     not null,
    due_at             timestamptz,
    uetr               uuid        not null,
    reference          text        not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    settlement_method  text        not null,
    settlement_status  text        not null check (settlement_status in ('NONE', 'PENDING', 'SENT',
                                       'SETTLED', 'REJECTED', 'UNKNOWN', 'RECONCILE')),
    settlement_version integer     not null,
    ip_address         text,
    device_fingerprint text,
    country            text,
    traceparent        text,
    risk_score         integer     check (risk_score between 0 and 100),
    risk_level         text,
    challenge_id       uuid,
    challenge_number   integer     not null check (challenge_number between 0 and 3),
    challenged_at      timestamptz,
    challenge_ends_at  timestamptz,
    challenge_over     boolean     not null,
    tag_under_test     text,
    accepted_tag       text,
    reason             text        check (reason in ('insufficient_funds', 'not_permitted',
                                       'otp_exhausted', 'timed_out')),
    answer_status      integer,
    answer_body        text,
    -- work columns, for the deadline
    attempts           integer     not null default 0,
    owner              text,
    lease_until        timestamptz,
    epoch              bigint      not null default 0,
    parked_at          timestamptz,
    last_error         text,
    constraint payment_transaction unique (user_id, transaction_id),
    constraint payment_key unique (user_id, idempotency_key),
    constraint payment_reference unique (reference),
    constraint payment_uetr unique (uetr),
    -- Illegal states cannot be stored: a final one has its answer and no deadline, any other the
    -- reverse; nothing is confirmed unscored; only what is confirmed settles.
    check ((status in ('CONFIRMED', 'DECLINED')) = (answer_body is not null)),
    check ((status in ('CONFIRMED', 'DECLINED')) = (due_at is null)),
    check (status <> 'CONFIRMED' or risk_score is not null),
    check ((status = 'DECLINED') = (reason is not null)),
    check ((status = 'CONFIRMED') = (settlement_status <> 'NONE'))
) with (fillfactor = 70);
create index payment_due on payment (due_at) where due_at is not null;
create index payment_unsettled on payment (updated_at)
    where settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE');
create index payment_transaction_id on payment (transaction_id);

create function refuse_illegal_step() returns trigger language plpgsql as $$
begin
    raise exception 'payment %: no way from % (version %) to % (version %)',
        old.id, old.status, old.version, new.status, new.version;
end $$;
create trigger payment_steps before update on payment for each row
    when (not (
        (new.status = old.status and new.version = old.version)
        or (new.version = old.version + 1 and (old.status, new.status) in (
            ('AWAITING_RISK', 'CHALLENGING'), ('AWAITING_RISK', 'CONFIRMED'),
            ('AWAITING_RISK', 'DECLINED'), ('CHALLENGING', 'AWAITING_CODE'),
            ('CHALLENGING', 'DECLINED'), ('AWAITING_CODE', 'CHALLENGING'),
            ('AWAITING_CODE', 'VERIFYING'), ('AWAITING_CODE', 'DECLINED'),
            ('VERIFYING', 'AWAITING_CODE'), ('VERIFYING', 'CONFIRMED'),
            ('VERIFYING', 'DECLINED')))))
    execute function refuse_illegal_step();

create table journal (
    id         uuid        primary key,
    payment_id uuid        not null,
    kind       text        not null check (kind in ('HOLD', 'SETTLE', 'RETURN', 'OPEN')),
    posted_at  timestamptz not null default now(),
    constraint journal_once unique (payment_id, kind)
);

create table entry (
    journal_id   uuid   not null references journal (id),
    account_id   text   not null references account (id),
    amount_minor bigint not null check (amount_minor <> 0),
    currency     text   not null,
    primary key (journal_id, account_id)
);
create index entry_account on entry (account_id);

create function refuse_unbalanced() returns trigger language plpgsql as $$
begin
    if exists (select from posted group by journal_id, currency having sum(amount_minor) <> 0) then
        raise exception 'ledger: a journal does not sum to zero';
    end if;
    return null;
end $$;
-- A statement posts whole journals; looked at once a statement: 22 µs a journal, a row trigger 44.
create trigger entry_balanced after insert on entry referencing new table as posted
    for each statement execute function refuse_unbalanced();

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;
create trigger journal_append_only before update or delete or truncate on journal
    for each statement execute function refuse_change();
create trigger entry_append_only before update or delete or truncate on entry
    for each statement execute function refuse_change();

create table review_case (
    id         uuid        primary key,
    payment_id uuid        not null unique references payment (id),
    reasons    jsonb       not null,
    opened_at  timestamptz not null default now()
);

grant select, insert, update on account, payment to {service};
grant select, insert on journal, entry, review_case to {service};
