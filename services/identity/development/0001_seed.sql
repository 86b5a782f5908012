-- The client of the printed call: test-client, test-secret-key. Development alone.

insert into client (id, scopes, secrets, changed_at) values (
    'test-client',
    array['payment.confirm', 'payment.read', 'webhooks.write', 'charges.write'],
    array[encode(sha256('test-secret-key'), 'hex')],
    now()
)
on conflict do nothing;
-- The console of a development system, at both of its addresses.
insert into client (id, name, kind, grants, scopes, secrets, redirect_uris, sign_out_uris, changed_at)
select 'countersign-console', 'the console', kind, array['authorization_code'], scopes, '{}',
    array['http://localhost:3030/signed-in', 'http://127.0.0.1:3030/signed-in'],
    array['http://localhost:3030/', 'http://127.0.0.1:3030/'], now()
from client where id = 'countersign'
on conflict do nothing;
