-- Who changes where codes go can confirm payments: the role may do it only where a second person
-- approves. A first contact is no change.
create trigger contact_change_needs_two_people before update on contact for each row
    when ((new.user_id, new.phone, new.email) is distinct from (old.user_id, old.phone, old.email))
    execute function require_approval('CONTACTS_CHANGE');
