-- A double-entry ledger in a service's schema. A migration of the service includes this file, and
-- may restrict the kinds: `alter table transfer add check (kind in (…))`. Confirm's accounts and its
-- checkpoint are older than this file and stay.

create table if not exists account (
    id            text   primary key,
    owner         text,
    currency      text   not null check (currency ~ '^[A-Z]{3}$'),
    balance_minor bigint not null default 0,
    minimum_minor bigint default 0,
    check (minimum_minor is null or balance_minor >= minimum_minor)
) with (fillfactor = 80);
create index if not exists account_owner on account (owner);

-- One row for both sides: balanced by construction.
create table transfer (
    source_id      uuid        not null,
    kind           text        not null,
    debit_account  text        not null,
    credit_account text        not null,
    amount_minor   bigint      not null check (amount_minor > 0),
    currency       text        not null,
    posted_at      timestamptz not null default now(),
    primary key (source_id, kind),
    check (debit_account <> credit_account)
);
-- Rows lie on the disk in the order of posting. A range is summed up as soon as it is full: every
-- check reads the ranges that are not.
create index transfer_posted on transfer using brin (posted_at)
    with (pages_per_range = 32, autosummarize = on);

-- Both sides of each transfer: what it adds to the balance of each account.
create view ledger_entry as
select source_id, kind, side.account_id, side.amount_minor, currency, posted_at
from transfer, lateral (values (debit_account, -amount_minor), (credit_account, amount_minor))
    as side (account_id, amount_minor);

create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;
create trigger transfer_append_only before update or delete or truncate on transfer
    for each statement execute function refuse_change();

-- The sum of each account's transfers that were posted before the frontier.
create table if not exists ledger_checkpoint (
    account_id    text   primary key,
    balance_minor bigint not null
);
create table if not exists ledger_frontier (
    posted_before timestamptz not null
);
create unique index if not exists ledger_frontier_is_one_row on ledger_frontier ((true));
insert into ledger_frontier values ('-infinity') on conflict do nothing;

-- Posts transfers, given as an array of objects, and opens missing accounts among the internal ones.
-- Each account is changed once, in the order of ids, so that two batches do not deadlock. The count
-- takes the place of foreign keys: every account must exist and have the transfer's currency.
create function post_transfers(posted json, internal text[]) returns void language plpgsql as $$
declare
    wanted bigint;
    moved  bigint;
begin
    insert into transfer (source_id, kind, debit_account, credit_account, amount_minor, currency)
    select source_id, kind, debit_account, credit_account, amount_minor, currency
    from json_to_recordset(posted) as one (source_id uuid, kind text, debit_account text,
        credit_account text, amount_minor bigint, currency text);

    insert into account (id, currency, minimum_minor)
    select distinct on (id) id, currency, case when id like 'equity:%' then null else 0 end
    from unnest(internal) as missing (id), json_to_recordset(posted)
        as one (debit_account text, credit_account text, currency text)
    where not exists (select from account where account.id = missing.id)
      and missing.id in (debit_account, credit_account)
    order by id on conflict do nothing;

    with delta as materialized (
        select id, currency, sum(side.amount_minor)::bigint as amount_minor
        from json_to_recordset(posted) as one (debit_account text, credit_account text,
                 amount_minor bigint, currency text),
             lateral (values (debit_account, -one.amount_minor), (credit_account, one.amount_minor))
                 as side (id, amount_minor)
        group by 1, 2 order by 1),
    changed as (
        update account set balance_minor = account.balance_minor + delta.amount_minor from delta
        where account.id = delta.id and account.currency = delta.currency returning 1)
    select (select count(*) from delta), (select count(*) from changed) into wanted, moved;
    if moved <> wanted then
        raise exception 'ledger: % of % accounts are unknown or have another currency',
            wanted - moved, wanted;
    end if;
end $$;

revoke all on account from {service};
grant select, insert (id, owner, currency, minimum_minor), update (balance_minor)
    on account to {service};
grant select, insert (source_id, kind, debit_account, credit_account, amount_minor, currency)
    on transfer to {service};
grant select on ledger_entry to {service};
grant select, insert, update, delete on ledger_checkpoint to {service};
grant select, update on ledger_frontier to {service};
