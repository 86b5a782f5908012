-- Subjects: people whose personal data is encrypted under a key of their own. The keys are not here:
-- a database that is restored from before an erasure cannot read what was erased.

create table subject (
    user_id      text        primary key check (char_length(user_id) between 1 and 128),
    key_id       uuid        not null unique,
    created_at   timestamptz not null default now(),
    held_at      timestamptz,
    held_by      text,
    hold_reason  text        check (char_length(hold_reason) between 1 and 500),
    erased_at    timestamptz,
    -- The key was destroyed, and so were the objects of the subject.
    destroyed_at timestamptz,
    constraint a_hold_has_a_reason check (num_nulls(held_at, held_by, hold_reason) in (0, 3)),
    constraint nobody_is_erased_under_a_hold check (held_at is null or erased_at is null)
);
create index subject_to_destroy on subject (erased_at)
    where erased_at is not null and destroyed_at is null;

create trigger erasure_needs_two_people before update on subject for each row
    when (old.erased_at is distinct from new.erased_at)
    execute function require_approval('SUBJECT_ERASE', '', 'user_id');

create function subject_stays_erased() returns trigger language plpgsql as $$
begin
    raise exception 'subject: was erased';
end $$;
create trigger subject_stays_erased before update on subject for each row
    when (old.erased_at is not null and new.erased_at is distinct from old.erased_at
          or old.destroyed_at is not null and new.destroyed_at is distinct from old.destroyed_at)
    execute function subject_stays_erased();

-- A new subject is neither held nor erased.
grant select, insert (user_id, key_id) on subject to {service};
grant update (held_at, held_by, hold_reason, erased_at, destroyed_at) on subject to {service};
