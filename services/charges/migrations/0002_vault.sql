-- The vault of cards: sealed numbers, their tokens, and what each provider knows a card by. {service} is the service's role.

create table card (
    id          uuid        primary key,
    token       text        not null unique check (token ~ '^tok_[0-9a-f]{32}$'),
    user_id     text        not null check (char_length(user_id) between 1 and 128),
    -- `jti` of the encrypted request: a repeat of it is the same card.
    request_id  text        not null,
    -- A compact JWE: AES-256-GCM, its content key under the vault's key `kid`.
    sealed      text        not null check (sealed ~ '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+){4}$'),
    kid         text        not null,
    fingerprint text        not null check (fingerprint ~ '^[0-9a-f]{64}$'),
    network     text        not null,
    last4       text        not null check (last4 ~ '^[0-9]{4}$'),
    month       integer     not null check (month between 1 and 12),
    year        integer     not null check (year between 2000 and 2200),
    created_at  timestamptz not null default now(),
    unique (user_id, request_id)
);
create index card_by_fingerprint on card (user_id, fingerprint);
create index card_by_key on card (kid);

-- A work table: each card is stored at each provider, which gives a token of its own.
create table card_token (
    id             uuid        primary key,
    card_id        uuid        not null references card,
    provider       text        not null,
    status         text        not null check (status in ('PENDING', 'STORED', 'REFUSED')),
    provider_token text,
    code           text,
    tries          integer     not null default 0 check (tries >= 0),
    created_at     timestamptz not null default now(),
    due_at         timestamptz,
    attempts       integer     not null default 0,
    owner          text,
    lease_until    timestamptz,
    epoch          bigint      not null default 0,
    parked_at      timestamptz,
    last_error     text,
    trace          jsonb       not null default '[]',
    unique (card_id, provider),
    check ((status = 'STORED') = (provider_token is not null)),
    check ((status = 'PENDING') = (due_at is not null))
) with (fillfactor = 70);
create index card_token_due on card_token (due_at) where due_at is not null and parked_at is null;
create index card_token_parked on card_token (id) where parked_at is not null;

-- Each time a number was opened: by whom, for what. Committed before the number is opened.
create table detokenization (
    id       uuid        primary key,
    card_id  uuid        not null references card,
    purpose  text        not null,
    provider text        not null,
    at       timestamptz not null default clock_timestamp()
);
create index detokenization_of_card on detokenization (card_id, at);

-- What a repeat of a call must say again, word for word, never changes.
create function card_keeps() returns trigger language plpgsql as $$
begin
    raise exception '% %: a token does not change', tg_table_name, old.id;
end $$;
create trigger card_token_is_final before update on card_token for each row
    when (old.status <> 'PENDING'
          and (old.status, old.provider_token) is distinct from (new.status, new.provider_token))
    execute function card_keeps();

grant select, insert on card, detokenization to {service};
grant select, insert, update on card_token to {service};
