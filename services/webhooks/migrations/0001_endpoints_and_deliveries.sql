-- Endpoints of owners, and what they are sent: a work table with a lane an endpoint. {service} is the service's role.

create table endpoint (
    id            uuid        primary key,
    user_id       text        not null check (char_length(user_id) between 1 and 128),
    url           text        not null check (char_length(url) between 1 and 2048),
    description   text        not null default '' check (char_length(description) <= 200),
    event_types   text[]      not null check (cardinality(event_types) between 1 and 20),
    scheme        text        not null check (scheme in ('hmac-sha256', 'ed25519')),
    version       integer     not null default 1,
    is_on         boolean     not null default true,
    off_reason    text        check (off_reason in ('gone', 'failing', 'owner')),
    failures      integer     not null default 0 check (failures >= 0),
    failing_since timestamptz,
    paused_until  timestamptz,
    is_fast       boolean     not null default false,
    last_error    text,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    -- A repeated request to create one adds none: the reply holds a secret and is not stored.
    constraint one_endpoint_a_url unique (user_id, url),
    check (is_on = (off_reason is null)),
    check ((failures = 0) = (failing_since is null))
) with (fillfactor = 80);

-- Sealed; while an old secret is in force beside the new one, messages have a signature of each.
create table endpoint_secret (
    id          uuid        primary key,
    endpoint_id uuid        not null references endpoint on delete cascade,
    sealed      text        not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz
);
create index endpoint_secret_of_endpoint on endpoint_secret (endpoint_id);
create unique index one_current_secret on endpoint_secret (endpoint_id) where expires_at is null;

-- The last change that is known of a payment: what a message says when it is sent.
create table payment_state (
    payment_id        uuid        primary key,
    user_id           text        not null,
    transaction_id    text        not null,
    sequence          bigint      not null check (sequence >= 1),
    status            text        not null,
    settlement_status text        not null,
    occurred_at       timestamptz not null,
    updated_at        timestamptz not null default now()
) with (fillfactor = 80);
create index payment_state_by_age on payment_state (updated_at);

create table delivery (
    id           uuid        primary key,  -- of endpoint, payment, sequence and type; the webhook-id
    endpoint_id  uuid        not null references endpoint,
    type         text        not null,
    payment_id   uuid,
    sequence     bigint,
    occurred_at  timestamptz not null,
    status       text        not null default 'PENDING'
        check (status in ('PENDING', 'DELIVERED', 'FAILED')),
    tries        integer     not null default 0 check (tries >= 0),
    retry_until  timestamptz not null,
    last_status  integer,
    last_reason  text,
    last_ms      integer,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    due_at       timestamptz,
    attempts     integer     not null default 0,
    owner        text,
    lease_until  timestamptz,
    epoch        bigint      not null default 0,
    parked_at    timestamptz,
    last_error   text,
    trace        jsonb       not null default '[]',
    check ((status = 'PENDING') = (due_at is not null)),
    check ((payment_id is null) = (sequence is null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Each endpoint is a lane: its due rows in order, and those that are in progress.
create index delivery_lane on delivery (endpoint_id, due_at)
    where due_at is not null and parked_at is null;
create index delivery_in_progress on delivery (endpoint_id, lease_until)
    where lease_until is not null;
create index delivery_of_endpoint on delivery (endpoint_id, created_at, id);
create index delivery_failed on delivery (endpoint_id) where status = 'FAILED';
create index delivery_by_age on delivery (created_at);
create index delivery_parked on delivery (id) where parked_at is not null;

grant select, insert, update, delete on endpoint, endpoint_secret, payment_state, delivery to {service};
