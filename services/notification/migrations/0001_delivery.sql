-- Messages to customers: a work table. One row an event and channel.

create table delivery (
    id             uuid        primary key,
    payment_id     uuid        not null,
    user_id        text        not null,
    transaction_id text        not null,
    channel        text        not null check (channel in ('sms', 'email')),
    template       text        not null
        check (template in ('code', 'confirmed', 'declined', 'returned')),
    amount_minor   bigint      not null check (amount_minor > 0),
    currency       text        not null check (currency ~ '^[A-Z]{3}$'),
    to_account     text        not null,
    sealed_code    text,
    expires_at     timestamptz not null,
    status         text        not null default 'QUEUED'
        check (status in ('QUEUED', 'DELIVERED', 'REFUSED', 'EXPIRED')),
    reason         text,
    provider_id    text,
    tries          integer     not null default 0 check (tries >= 0),
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    due_at         timestamptz,
    attempts       integer     not null default 0,
    owner          text,
    lease_until    timestamptz,
    epoch          bigint      not null default 0,
    parked_at      timestamptz,
    last_error     text,
    trace          jsonb       not null default '[]',
    check ((status = 'QUEUED') = (due_at is not null)),
    -- A code is kept for as long as it may be sent, and no longer; nothing else is sealed.
    check ((sealed_code is not null) = (template = 'code' and status = 'QUEUED')),
    check (template <> 'code' or channel = 'sms')
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index delivery_due on delivery (channel, due_at)
    where due_at is not null and parked_at is null;
create index delivery_of_payment on delivery (payment_id);
create index delivery_unfinished on delivery (created_at) where due_at is not null;
create index delivery_untold on delivery (id) where status = 'EXPIRED' and template <> 'code';
create index delivery_parked on delivery (id) where parked_at is not null;

create function delivery_keeps() returns trigger language plpgsql as $$
begin
    raise exception 'delivery %: what has ended does not change', old.id;
end $$;

create trigger delivery_is_final before update on delivery for each row
    when (old.status <> 'QUEUED' and new.status <> old.status)
    execute function delivery_keeps();

-- Where customers are reached: personal data, here and nowhere else.
create table contact (
    user_id    text        primary key,
    phone      text        not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    email      text        not null check (email ~ '^[^@\s]+@[^@\s]+$'),
    updated_at timestamptz not null default now()
);

grant select, insert, update on delivery to {service};
grant select, insert, update on contact to {service};
