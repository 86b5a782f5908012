-- Users, their sessions and refresh tokens. {service} is the service's role.

create table app_user (
    id           uuid        primary key,
    password     text        not null check (password like '$argon2id$%'),
    created_at   timestamptz not null,
    disabled_at  timestamptz
);

-- Personal data apart: one row to erase, and no other query reads it.
create table email_address (
    address text primary key check (address = lower(address) and char_length(address) <= 254),
    user_id uuid not null unique references app_user (id)
);

create table session (
    id         uuid        primary key,
    user_id    uuid        not null references app_user (id),
    kind       text        not null check (kind in ('customer', 'operator')),
    device     text        not null check (char_length(device) <= 120),
    created_at timestamptz not null,
    used_at    timestamptz not null,
    idle_at    timestamptz not null,
    expires_at timestamptz not null check (expires_at > created_at),
    ended_at   timestamptz,
    ended_by   text check (ended_by in ('logout', 'owner', 'password', 'reuse', 'limit', 'operator')),
    constraint ended_for_a_reason check ((ended_at is null) = (ended_by is null))
);
create index session_of_user on session (user_id, created_at);
create index session_age on session (expires_at);

create table refresh_token (
    hash       bytea       primary key check (octet_length(hash) = 32),
    session_id uuid        not null references session (id) on delete cascade,
    issued_at  timestamptz not null,
    used_at    timestamptz,
    nonce      text,
    constraint used_with_a_successor check ((used_at is null) = (nonce is null))
);
-- A session has one token that was not used: two refreshes at once cannot both succeed.
create unique index refresh_token_unused on refresh_token (session_id) where used_at is null;
create index refresh_token_of_session on refresh_token (session_id);

-- A used token never becomes unused, and an ended session never goes on.
create function session_stays_ended() returns trigger language plpgsql as $$
begin
    if old.ended_at is not null then
        raise exception 'session: it has ended';
    end if;
    return new;
end $$;
create trigger session_stays_ended before update on session
    for each row execute function session_stays_ended();

create function refresh_token_stays_used() returns trigger language plpgsql as $$
begin
    if old.used_at is not null then
        raise exception 'refresh_token: it was used';
    end if;
    return new;
end $$;
create trigger refresh_token_stays_used before update on refresh_token
    for each row execute function refresh_token_stays_used();

grant select, insert on app_user to {service};
grant update (password, disabled_at) on app_user to {service};
grant select, insert on email_address to {service};
grant select, insert, delete on session to {service};
grant update (used_at, idle_at, ended_at, ended_by) on session to {service};
grant select, insert, delete on refresh_token to {service};
grant update (used_at, nonce) on refresh_token to {service};
