-- A redrive above one letter names its letters, which are those that two people have approved
-- (decision 0035). Older rows have only their number.
alter table redrive add column places jsonb;
alter table redrive add constraint redrive_names_its_letters
    check (jsonb_array_length(places) = letters) not valid;
drop trigger bulk_needs_two_people on redrive;
create trigger bulk_needs_two_people before insert on redrive for each row
    when (new.letters > 1)
    execute function require_approval('DEAD_LETTERS_REDRIVE', '', 'places');
grant insert (places) on redrive to {service};
