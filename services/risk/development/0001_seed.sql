-- Development data: the seeded users have paid payee-known before.

insert into known_payee (user_id, payee, first_paid_at)
select 'usr-' || number, 'payee-known', now() from generate_series(456, 459) as number
on conflict do nothing;
