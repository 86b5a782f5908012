-- Persons who were erased: their rows go, and none is added again, in whatever order records are read.
create table erased_subject (
    user_id   text        primary key check (char_length(user_id) between 1 and 128),
    erased_at timestamptz not null default now()
);
grant select, insert on erased_subject to {service};

-- A row that is added while its person is erased is seen by the next run of a job.
create function skip_erased() returns trigger language plpgsql as $$
begin
    if exists (select from erased_subject where user_id = new.user_id) then
        return null;
    end if;
    return new;
end $$;
create trigger explanation_of_erased before insert on explanation for each row
    execute function skip_erased();
create trigger known_payment_of_erased before insert on known_payment for each row
    execute function skip_erased();
