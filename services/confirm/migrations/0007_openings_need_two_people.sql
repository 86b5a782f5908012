-- An opening balance is money from nowhere: the role may post one only where a second person approves.
create trigger opening_needs_two_people before insert on transfer for each row
    when (new.kind = 'OPEN') execute function require_approval('ACCOUNTS_OPEN');
