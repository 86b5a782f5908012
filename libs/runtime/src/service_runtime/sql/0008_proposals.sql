-- Acts that need two people. A proposal and its approval are never changed; the effect of an act is
-- written in the transaction of the approval and no other. {service} is the service's role.
create table proposal (
    id          uuid        primary key,
    act         text        not null,
    about       text        not null,
    body        jsonb       not null,
    proposed_by text        not null,
    proposed_at timestamptz not null default now(),
    expires_at  timestamptz not null default now() + interval '1 day',
    unique (id, act, proposed_by, expires_at)
);
create index proposal_age on proposal (expires_at);

create table approval (
    proposal_id uuid        primary key,
    act         text        not null,
    proposed_by text        not null,
    expires_at  timestamptz not null,
    approved_by text        not null,
    approved_at timestamptz not null default now(),
    approved_in xid8        not null default pg_current_xact_id(),
    foreign key (proposal_id, act, proposed_by, expires_at)
        references proposal (id, act, proposed_by, expires_at) on delete cascade,
    -- A provider may tell people apart by case; whoever differs by it alone is one person here.
    constraint approved_by_a_second_person check (lower(approved_by) <> lower(proposed_by)),
    constraint approved_in_time check (approved_at < expires_at)
);
create index approval_in_transaction on approval (approved_in);

-- What the database sets itself, no role may set.
grant select, delete on proposal to {service};
grant insert (id, act, about, body, proposed_by) on proposal to {service};
grant select on approval to {service};
grant insert (proposal_id, act, proposed_by, expires_at, approved_by) on approval to {service};

-- A trigger of a table whose change needs the approval of an act, in the same transaction. The
-- schema's owner may change it without: migrations and seeds of development.
create function require_approval() returns trigger language plpgsql as $$
begin
    if quote_ident(current_user)::regrole = '{service}'::regrole and not exists (
        select from approval where approved_in = pg_current_xact_id() and act = tg_argv[0]) then
        raise exception '% needs the approval of a second person', tg_argv[0];
    end if;
    return new;
end $$;
