-- What was redriven. Above one message it needs a second person.
create table redrive (
    id         uuid        primary key,
    letters    integer     not null check (letters > 0),
    redriven_at timestamptz not null default now()
);
create trigger bulk_needs_two_people before insert on redrive for each row
    when (new.letters > 1) execute function require_approval('DEAD_LETTERS_REDRIVE');
grant insert (id, letters) on redrive to {service};
