-- Charges and refunds at payment providers: two work tables, and the ledger. {service} is the service's role.

-- include double_entry/sql/0001_ledger.sql
alter table transfer add constraint transfer_kind
    check (kind in ('CAPTURE', 'FEE', 'REFUND_HOLD', 'REFUND', 'REFUND_RELEASE'));

create table charge (
    id                 uuid        primary key,
    user_id            text        not null check (char_length(user_id) between 1 and 128),
    amount_minor       bigint      not null check (amount_minor > 0),
    currency           text        not null check (currency ~ '^[A-Z]{3}$'),
    source             text        not null,
    email              text        not null,
    metadata           jsonb       not null default '{}',
    status             text        not null check (status in ('CREATED', 'AUTHORIZING', 'AUTHORIZED',
        'CAPTURED', 'DECLINED', 'FAILED', 'CANCELLED', 'PARTIALLY_REFUNDED', 'REFUNDED', 'UNKNOWN')),
    goal               text        not null check (goal in ('HOLD', 'CAPTURE', 'VOID')),
    next_step          text        not null
        check (next_step in ('AUTHORIZE', 'CAPTURE', 'VOID', 'ENQUIRE')),
    review             text        not null
        check (review in ('NONE', 'LISTED', 'HELD', 'APPROVED', 'REJECTED')),
    outcome            text        check (outcome in ('success', 'review', 'authorized', 'declined',
        'failed', 'cancelled')),
    may_retry          boolean     not null,
    provider           text,
    attempt            integer     not null check (attempt >= 1),
    tried              text[]      not null default '{}',
    tries              integer     not null check (tries >= 0),
    version            integer     not null check (version >= 1),
    code               text,
    provider_reference text,
    sent_at            timestamptz,
    captured_minor     bigint      not null default 0 check (captured_minor in (0, amount_minor)),
    refunding_minor    bigint      not null default 0 check (refunding_minor >= 0),
    refunded_minor     bigint      not null default 0 check (refunded_minor >= 0),
    contradicted_at    timestamptz,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    due_at             timestamptz,
    attempts           integer     not null default 0,
    owner              text,
    lease_until        timestamptz,
    epoch              bigint      not null default 0,
    parked_at          timestamptz,
    last_error         text,
    trace              jsonb       not null default '[]',
    -- A refund never exceeds what was captured, whoever asks.
    constraint refunds_within_capture check (refunding_minor + refunded_minor <= captured_minor),
    check ((status in ('CAPTURED', 'PARTIALLY_REFUNDED', 'REFUNDED')) = (captured_minor > 0)),
    -- What has ended is never due.
    check (status not in ('CAPTURED', 'DECLINED', 'FAILED', 'CANCELLED', 'PARTIALLY_REFUNDED',
                          'REFUNDED') or due_at is null),
    -- Where an outcome is unknown, there is somebody to enquire at.
    check (status not in ('AUTHORIZING', 'UNKNOWN', 'AUTHORIZED') or provider is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index charge_due on charge (due_at) where due_at is not null and parked_at is null;
create index charge_parked on charge (id) where parked_at is not null;
create index charge_in_review on charge (created_at, id) where review in ('LISTED', 'HELD');
create index charge_contradicted on charge (contradicted_at) where contradicted_at is not null;

create table refund (
    id                 uuid        primary key,
    charge_id          uuid        not null references charge,
    user_id            text        not null,
    amount_minor       bigint      not null check (amount_minor > 0),
    currency           text        not null,
    provider           text        not null,
    charge_reference   text        not null,
    provider_reference text        not null,
    status             text        not null check (status in ('REQUESTED', 'SENDING', 'PENDING',
        'UNKNOWN', 'SUCCEEDED', 'FAILED')),
    next_step          text        not null check (next_step in ('SEND', 'ENQUIRE')),
    was_sent           boolean     not null,
    tries              integer     not null check (tries >= 0),
    code               text,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    due_at             timestamptz,
    attempts           integer     not null default 0,
    owner              text,
    lease_until        timestamptz,
    epoch              bigint      not null default 0,
    parked_at          timestamptz,
    last_error         text,
    trace              jsonb       not null default '[]',
    check ((status in ('SUCCEEDED', 'FAILED')) = (due_at is null))
) with (fillfactor = 70);
create index refund_due on refund (due_at) where due_at is not null and parked_at is null;
create index refund_of_charge on refund (charge_id, created_at);
create index refund_parked on refund (id) where parked_at is not null;

create function charge_keeps() returns trigger language plpgsql as $$
begin
    raise exception '% %: what is decided does not change', tg_table_name, old.id;
end $$;
create trigger charge_is_final before update on charge for each row
    when (old.status in ('DECLINED', 'FAILED', 'CANCELLED') and new.status <> old.status
          or old.captured_minor > 0 and new.captured_minor <> old.captured_minor)
    execute function charge_keeps();
create trigger charge_is_the_same before update on charge for each row
    when ((old.user_id, old.amount_minor, old.currency, old.source)
          is distinct from (new.user_id, new.amount_minor, new.currency, new.source))
    execute function charge_keeps();
create trigger refund_is_final before update on refund for each row
    when (old.status in ('SUCCEEDED', 'FAILED') and new.status <> old.status)
    execute function charge_keeps();

-- Each choice of a provider, with the probability with which it was drawn, for off-policy estimates.
create table route_choice (
    charge_id  uuid             not null references charge,
    attempt    integer          not null,
    provider   text             not null,
    propensity double precision not null check (propensity > 0 and propensity <= 1),
    segment    text             not null,
    reasons    jsonb            not null,
    is_success boolean,
    chosen_at  timestamptz      not null default now(),
    primary key (charge_id, attempt)
);
create table route_arm (
    segment    text             not null,
    provider   text             not null,
    successes  double precision not null,
    failures   double precision not null,
    updated_at timestamptz      not null default now(),
    primary key (segment, provider)
) with (fillfactor = 70);

-- Webhooks that were applied: a repeat changes nothing.
create table provider_event (
    provider    text        not null,
    event_id    text        not null check (char_length(event_id) between 1 and 300),
    received_at timestamptz not null default now(),
    primary key (provider, event_id)
);
create index provider_event_by_age on provider_event (received_at);

grant select, insert, update on charge, refund, route_arm, route_choice to {service};
grant select, insert, delete on provider_event to {service};
