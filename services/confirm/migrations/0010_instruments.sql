-- What funds a payment, and where cash was handed in. Null: the account's balance.
alter table payment add column instrument text check (instrument in ('ACCOUNT', 'CASH')),
    add column branch text;
drop view payment_record;
create view payment_record as select * from payment join payment_state using (id);
grant select, insert on payment_record to {service};
