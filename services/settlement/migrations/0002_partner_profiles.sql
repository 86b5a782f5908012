-- Banks that are not idempotent: when a transfer was last sent, and a status for what only a person
-- can find out. RECONCILE stays due: a bank that answers after all has the last word.

alter table instruction add column sent_at timestamptz;
alter table instruction drop constraint instruction_status_check;
alter table instruction add constraint instruction_status_check
    check (status in ('QUEUED', 'SENDING', 'SENT', 'UNKNOWN', 'RECONCILE', 'SETTLED', 'REJECTED'));
-- What only a person can find out is never sent again.
alter table instruction add constraint instruction_reconcile_is_not_sent
    check (status <> 'RECONCILE' or next_step = 'ENQUIRE');
