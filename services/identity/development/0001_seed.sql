-- The client of the printed call: test-client, test-secret-key. Development alone.

insert into client (id, scopes, secrets, changed_at) values (
    'test-client',
    array['payment.confirm', 'payment.read', 'webhooks.write'],
    array[encode(sha256('test-secret-key'), 'hex')],
    now()
)
on conflict do nothing;
