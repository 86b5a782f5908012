-- One row a transfer instead of a journal and two entries; the rest of the ledger is the library's.
-- include double_entry/sql/0001_ledger.sql

alter table transfer add constraint transfer_kind
    check (kind in ('HOLD', 'SETTLE', 'RETURN', 'OPEN'));
-- The balance update of a transfer takes the place of the foreign key.
alter table payment drop constraint payment_from_account_fkey;

-- An index of random keys is built faster afterwards than row by row.
alter table transfer drop constraint transfer_pkey;

-- Journals are copied in the order in which they lie on the disk, which is the order of posting. A
-- journal with other entries than one debit and one credit of the same amount stops the migration.
do $$
declare
    pages constant bigint := pg_relation_size('journal') / current_setting('block_size')::bigint + 1;
    step  constant bigint := greatest(1000, pages / 20);
    first bigint := 0;
begin
    while first < pages loop
        insert into transfer
        select payment_id, kind, debit, credit, amount_minor, currency, posted_at
        from journal cross join lateral (
            select max(account_id) filter (where amount_minor < 0) as debit,
                   max(account_id) filter (where amount_minor > 0) as credit,
                   max(amount_minor) as amount_minor, max(currency) as currency
            from entry where journal_id = journal.id
            having count(*) = 2 and sum(amount_minor) = 0 and min(currency) = max(currency)) as sides
        where journal.ctid >= format('(%s,0)', first)::tid
          and journal.ctid < format('(%s,0)', first + step)::tid;
        first := first + step;
        raise notice 'transfers: % %%', least(100, 100 * first / pages);
    end loop;
    if (select (count(*), count(*) * 2, coalesce(sum(amount_minor), 0)) from transfer)
        <> ((select count(*) from journal), (select count(*) from entry),
            (select coalesce(sum(amount_minor), 0) from entry where amount_minor > 0)) then
        raise exception 'journals and transfers differ: the database is left as it was';
    end if;
end $$;

alter table transfer add primary key (source_id, kind);

drop table entry, journal;
drop function refuse_unbalanced;
