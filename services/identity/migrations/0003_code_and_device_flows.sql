-- Applications that sign a person in (authorization code, device code), beside machines.
-- {service} is the service's role.

alter table client
    add column name         text   not null default '' check (char_length(name) <= 60),
    -- Whose tokens it gets when a person signs in.
    add column kind         text   not null default 'customer' check (kind in ('customer', 'operator')),
    add column grants       text[] not null default array['client_credentials'] check (
        cardinality(grants) between 1 and 3
        and grants <@ array['client_credentials', 'authorization_code',
                            'urn:ietf:params:oauth:grant-type:device_code']),
    add column redirect_uris text[] not null default '{}' check (cardinality(redirect_uris) <= 10),
    add column sign_out_uris text[] not null default '{}' check (cardinality(sign_out_uris) <= 10),
    drop constraint client_secrets_check,
    add constraint client_secrets_check check (cardinality(secrets) <= 2),
    -- A client without a secret is public: it acts for a person alone.
    add constraint a_machine_has_a_secret check (
        cardinality(secrets) > 0 or not 'client_credentials' = any(grants)),
    -- A machine's token is never an operator's.
    add constraint a_machine_is_no_operator check (
        kind = 'customer' or not 'client_credentials' = any(grants)),
    add constraint codes_have_an_address check (
        cardinality(redirect_uris) > 0 or not 'authorization_code' = any(grants));

drop trigger client_needs_two_people on client;
create trigger client_needs_two_people
    before insert or update of id, name, kind, scopes, secrets, grants, redirect_uris, sign_out_uris on client
    for each row execute function require_approval(
        'CLIENT_SET', '', 'id', 'name', 'kind', 'scopes', 'secrets', 'grants', 'redirect_uris', 'sign_out_uris');
grant update (name, kind, grants, redirect_uris, sign_out_uris) on client to {service};

-- The command of operators is the same program everywhere. It has no secret and no address.
insert into client (id, name, kind, grants, scopes, secrets, changed_at) values (
    'countersign', 'the countersign command', 'operator',
    array['urn:ietf:params:oauth:grant-type:device_code'],
    array['ops.read', 'ops.write', 'contacts.write', 'accounts.open', 'cases.propose', 'cases.approve',
          'dlq.redrive', 'identity.write', 'roles.grant', 'partners.write', 'subjects.erase',
          'compliance.write'],
    '{}', now());

-- Roles are never proposed or approved by the person who gets them.
create function roles_come_from_others() returns trigger language plpgsql as $$
declare
    own text := '%|cs\_user\_' || replace(new.user_id::text, '-', '');
begin
    if is_the_services_role() and exists (
        select from approval where approved_in = pg_current_xact_id() and act = 'ROLES_SET'
            and (proposed_by like own or approved_by like own)) then
        raise exception 'ROLES_SET: nobody grants roles to oneself';
    end if;
    return new;
end $$;
create trigger roles_come_from_others before insert or update on operator_roles
    for each row execute function roles_come_from_others();

alter table session
    -- The application that the person signed in to; null for the routes below /auth.
    add column client_id text references client (id),
    -- What was granted to it; null for everything that the person has.
    add column scopes    text[],
    add constraint granted_to_a_client check ((client_id is null) = (scopes is null));

create table authorization_code (
    hash         bytea       primary key check (octet_length(hash) = 32),
    client_id    text        not null references client (id),
    redirect_uri text        not null,
    challenge    text        not null check (char_length(challenge) = 43),
    scopes       text[]      not null,
    nonce        text        not null check (char_length(nonce) <= 256),
    user_id      uuid        not null references app_user (id),
    -- The session that its use opens, and that its second use ends.
    session_id   uuid        not null unique,
    signed_in_at timestamptz not null,
    expires_at   timestamptz not null check (expires_at <= signed_in_at + interval '10 minutes'),
    used_at      timestamptz
);
create index authorization_code_age on authorization_code (expires_at);
create index authorization_code_of_user on authorization_code (user_id) where used_at is null;

create table device_code (
    hash         bytea       primary key check (octet_length(hash) = 32),
    user_code    text        not null unique check (char_length(user_code) = 8),
    client_id    text        not null references client (id),
    scopes       text[]      not null,
    interval_s   int         not null check (interval_s between 1 and 600),
    polled_at    timestamptz,
    expires_at   timestamptz not null,
    decided_at   timestamptz,
    -- Who has approved it; null where the person has denied it.
    user_id      uuid references app_user (id),
    session_id   uuid        not null unique,
    used_at      timestamptz,
    constraint approved_when_decided check (user_id is null or decided_at is not null),
    constraint used_when_approved check (used_at is null or user_id is not null)
);
create index device_code_age on device_code (expires_at);
create index device_code_of_user on device_code (user_id) where used_at is null;

-- What was used or decided once stays so.
create function code_stays_used() returns trigger language plpgsql as $$
begin
    if old.used_at is not null then
        raise exception '%: it was used', tg_table_name;
    end if;
    return new;
end $$;
create trigger code_stays_used before update on authorization_code
    for each row execute function code_stays_used();
create trigger code_stays_used before update on device_code
    for each row execute function code_stays_used();
create function device_stays_decided() returns trigger language plpgsql as $$
begin
    if old.decided_at is not null and (old.decided_at, old.user_id) is distinct from (new.decided_at, new.user_id) then
        raise exception 'device_code: it was decided';
    end if;
    return new;
end $$;
create trigger device_stays_decided before update on device_code
    for each row execute function device_stays_decided();

grant select, insert, delete on authorization_code to {service};
grant update (used_at) on authorization_code to {service};
grant select, insert, delete on device_code to {service};
grant update (interval_s, polled_at, decided_at, user_id, used_at) on device_code to {service};
