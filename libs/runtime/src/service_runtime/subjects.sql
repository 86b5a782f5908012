-- The table of service_runtime.subjects, for an owner's migration to include. {service} is the service's role.
create table subject (
    user_id      text        primary key check (char_length(user_id) between 1 and 128),
    key_id       uuid        not null unique,
    created_at   timestamptz not null default now(),
    erased_at    timestamptz,
    destroyed_at timestamptz
);
create index subject_to_destroy on subject (erased_at)
    where erased_at is not null and destroyed_at is null;
create index subject_readable on subject (user_id) where erased_at is null;

create function subject_stays_erased() returns trigger language plpgsql as $$
begin
    raise exception 'subject: was erased';
end $$;
create trigger subject_stays_erased before update on subject for each row
    when (old.erased_at is not null and new.erased_at is distinct from old.erased_at)
    execute function subject_stays_erased();
grant select, insert (user_id, key_id, erased_at), update (erased_at, destroyed_at) on subject to {service};
