-- Development accounts: each opened by a transfer from equity:opening.

insert into account (id, owner, currency, balance_minor, minimum_minor) values
    ('equity:opening:USD', null, 'USD', -110010000, null),
    ('acc-1', 'usr-456', 'USD', 100000000, 0),
    ('acc-2', 'usr-457', 'USD', 10000, 0),
    ('acc-3', 'usr-458', 'USD', 5000000, 0),
    ('acc-4', 'usr-459', 'USD', 5000000, 0);

insert into transfer (source_id, kind, debit_account, credit_account, amount_minor, currency)
select md5('opening:' || id)::uuid, 'OPEN', 'equity:opening:' || currency, id, balance_minor, currency
from account where owner is not null;
