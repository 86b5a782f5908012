-- Transfers to partner banks: a work table. One row a payment, one UETR for ever.

create table instruction (
    id               uuid        primary key,
    user_id          text        not null,
    transaction_id   text        not null,
    uetr             uuid        not null unique,
    partner          text        not null,
    amount_minor     bigint      not null check (amount_minor > 0),
    currency         text        not null check (currency ~ '^[A-Z]{3}$'),
    debtor_account   text        not null,
    creditor_account text        not null,
    confirmed_at     timestamptz not null,
    status           text        not null default 'QUEUED'
        check (status in ('QUEUED', 'SENDING', 'SENT', 'UNKNOWN', 'SETTLED', 'REJECTED')),
    next_step        text        not null default 'SEND' check (next_step in ('SEND', 'ENQUIRE')),
    batch_rows       smallint    not null default 100 check (batch_rows between 1 and 100),
    tries            integer     not null default 0 check (tries >= 0),
    version          integer     not null default 1 check (version >= 1),
    reason           text,
    bank_reference   text,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now(),
    due_at           timestamptz,
    attempts         integer     not null default 0,
    owner            text,
    lease_until      timestamptz,
    epoch            bigint      not null default 0,
    parked_at        timestamptz,
    last_error       text,
    trace            jsonb       not null default '[]',
    check (debtor_account <> creditor_account),
    -- What has an outcome is never due, and what has none always is.
    check ((status in ('SETTLED', 'REJECTED')) = (due_at is null)),
    -- Nobody can enquire about what was never begun.
    check (status <> 'QUEUED' or next_step = 'SEND')
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index instruction_due on instruction (partner, next_step, due_at)
    where due_at is not null and parked_at is null;
create index instruction_unfinished on instruction (created_at) where due_at is not null;
create index instruction_parked on instruction (id) where parked_at is not null;

-- An outcome is for ever, whoever asks; the amount, the payee and the UETR from the first day.
create function instruction_keeps() returns trigger language plpgsql as $$
begin
    raise exception 'instruction %: what is decided does not change', old.id;
end $$;

create trigger instruction_is_final before update on instruction for each row
    when (old.status in ('SETTLED', 'REJECTED') and new.status <> old.status)
    execute function instruction_keeps();
create trigger instruction_is_the_same before update on instruction for each row
    when ((old.uetr, old.partner, old.amount_minor, old.currency, old.creditor_account)
          is distinct from
          (new.uetr, new.partner, new.amount_minor, new.currency, new.creditor_account))
    execute function instruction_keeps();

grant select, insert, update on instruction to {service};
