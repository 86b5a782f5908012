-- Instructions that are published to a bank's topic. Their next step is PUBLISH or AWAIT; no worker of
-- a bank over HTTP takes such a row.

alter table instruction add column unanswered_since timestamptz;

alter table instruction drop constraint instruction_next_step_check;
alter table instruction add constraint instruction_next_step_check
    check (next_step in ('SEND', 'ENQUIRE', 'PUBLISH', 'AWAIT')) not valid;
-- Nobody can enquire about what was never begun.
alter table instruction drop constraint instruction_check2;
alter table instruction add constraint instruction_queued_is_not_begun
    check (status <> 'QUEUED' or next_step in ('SEND', 'PUBLISH')) not valid;
-- What only a person can find out is never sent or published again.
alter table instruction drop constraint instruction_reconcile_is_not_sent;
alter table instruction add constraint instruction_reconcile_is_not_sent
    check (status <> 'RECONCILE' or next_step in ('ENQUIRE', 'AWAIT')) not valid;
