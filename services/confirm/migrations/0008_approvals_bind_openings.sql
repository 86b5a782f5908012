-- The role may post exactly the openings that two people have approved: account, owner, amount and
-- currency (decision 0035). With a count the names of account and owner end in a number.
create function opening_is_approved() returns trigger language plpgsql as $$
declare
    holder text := (select owner from account where id = new.credit_account);
begin
    if is_the_services_role() and not exists (
        select from approved('ACCOUNTS_OPEN') as body,
            lateral (select substr(new.credit_account, length(body ->> 'name') + 1)) as rest (number)
        where starts_with(new.credit_account, body ->> 'name') and holder = (body ->> 'owner') || number
          and new.amount_minor = (body ->> 'balance_minor')::bigint
          and new.currency = body ->> 'currency'
          and new.debit_account = 'equity:opening:' || new.currency
          and case
              when body ->> 'count' is null then number = ''
              when number !~ '^-([0-9]{4}|[1-9][0-9]{4,6})$' then false
              else -number::int - (body ->> 'first')::int between 0 and (body ->> 'count')::int - 1
          end) then
        perform refuse_unapproved('ACCOUNTS_OPEN');
    end if;
    return new;
end $$;
drop trigger opening_needs_two_people on transfer;
create trigger opening_needs_two_people before insert on transfer for each row
    when (new.kind = 'OPEN') execute function opening_is_approved();
