-- What the check of every minute stands on, so that its cost does not grow with history.

-- The sum of each account's entries in journals that were posted before the frontier.
create table ledger_checkpoint (
    account_id    text   primary key,
    balance_minor bigint not null
);
create table ledger_frontier (
    posted_before timestamptz not null
);
create unique index ledger_frontier_is_one_row on ledger_frontier ((true));
insert into ledger_frontier values ('-infinity');

-- Journals lie on the disk in the order in which they came. A range is summed up as soon as it is
-- full: one that is not would be read by every check.
create index journal_posted on journal using brin (posted_at)
    with (pages_per_range = 32, autosummarize = on);
-- Written once a payment, when it comes to its end; payment_unsettled has the others by their time.
create index payment_settled on payment (updated_at)
    where settlement_status in ('SETTLED', 'REJECTED');
create index payment_parked on payment (id) where parked_at is not null;

grant select, insert, update, delete on ledger_checkpoint to {service};
grant select, update on ledger_frontier to {service};
