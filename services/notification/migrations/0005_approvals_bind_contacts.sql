-- The role may write exactly the contacts that two people have approved (decision 0035).
drop trigger contact_change_needs_two_people on contact;
create trigger contact_change_needs_two_people before update on contact for each row
    when ((new.user_id, new.phone, new.email) is distinct from (old.user_id, old.phone, old.email))
    execute function require_approval('CONTACTS_CHANGE', 'contacts', 'user_id', 'phone', 'email');
