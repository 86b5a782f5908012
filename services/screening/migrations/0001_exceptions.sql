-- "The holder of this account is not that entry", by two people, until a day. {service} is the
-- service's role.

create table screening_exception (
    id          uuid        primary key,   -- the proposal's
    account_id  text        not null check (char_length(account_id) between 1 and 200),
    list_name   text        not null check (list_name ~ '^[A-Z][A-Z0-9-]{0,19}$'),
    entry_id    text        not null check (char_length(entry_id) between 1 and 64),
    reason      text        not null check (char_length(reason) between 1 and 500),
    last_day    date        not null,      -- in UTC; that day included
    proposed_by text        not null,
    approved_by text        not null,
    approved_at timestamptz not null default now(),
    ended_at    timestamptz,
    ended_by    text,
    -- Nobody is excepted for ever: after a year at most, two people look again.
    constraint ends_within_a_year check (
        last_day between (approved_at at time zone 'UTC')::date
                     and (approved_at at time zone 'UTC')::date + 366),
    constraint ended_by_somebody check ((ended_at is null) = (ended_by is null))
);
create index screening_exception_of_account on screening_exception (account_id)
    where ended_at is null;

create trigger exception_needs_two_people before insert on screening_exception for each row
    execute function require_approval('SCREENING_EXCEPTION', '', 'account_id', 'list_name',
        'entry_id', 'reason', 'last_day');

-- One person can end an exception, and nobody can prolong one.
grant select, insert on screening_exception to {service};
grant update (ended_at, ended_by) on screening_exception to {service};
create function ended_stays_ended() returns trigger language plpgsql as $$
begin
    raise exception 'an exception that was ended stays ended: propose another one';
end $$;
create trigger exception_stays_ended before update on screening_exception for each row
    when (old.ended_at is not null) execute function ended_stays_ended();
