-- A payment's state apart from what never changes: a step writes one narrow row, and no index. The
-- unfinished payments are a table of their own, whose rows go when the payment is over. The columns
-- leave `payment` where they are copied, in one transaction: there is no second copy to keep equal.

create table payment_state (
    id                 uuid        not null,
    status             text        not null,
    version            integer     not null,
    request_id         uuid        not null,
    reply_partition    integer     not null,
    due_at             timestamptz,
    updated_at         timestamptz not null,
    settlement_status  text        not null,
    settlement_version integer     not null,
    risk_score         integer,
    risk_level         text,
    challenge_id       uuid,
    challenge_number   integer     not null,
    challenged_at      timestamptz,
    challenge_ends_at  timestamptz,
    challenge_over     boolean     not null,
    tag_under_test     text,
    accepted_tag       text,
    reason             text,
    answer_status      integer,
    answer_body        text,
    check (status in ('AWAITING_RISK', 'CHALLENGING', 'AWAITING_CODE', 'VERIFYING', 'CONFIRMED',
                      'DECLINED')),
    check (version >= 1),
    check (settlement_status in ('NONE', 'PENDING', 'SENT', 'SETTLED', 'REJECTED', 'UNKNOWN',
                                 'RECONCILE')),
    check (risk_score between 0 and 100),
    check (challenge_number between 0 and 3),
    check (reason in ('insufficient_funds', 'not_permitted', 'otp_exhausted', 'timed_out')),
    -- Illegal states cannot be stored: a final one has its answer and no deadline, any other the
    -- reverse; nothing is confirmed unscored; only what is confirmed settles.
    check ((status in ('CONFIRMED', 'DECLINED')) = (answer_body is not null)),
    check ((status in ('CONFIRMED', 'DECLINED')) = (due_at is null)),
    constraint a_confirmed_payment_is_scored check (status <> 'CONFIRMED' or risk_score is not null),
    check ((status = 'DECLINED') = (reason is not null)),
    check ((status = 'CONFIRMED') = (settlement_status <> 'NONE')),
    -- A payment may await a code that was not issued: it has no challenge.
    constraint a_code_was_issued_or_refused check (status <> 'AWAITING_CODE'
        or (challenge_id is null) = (challenge_number = 0)),
    constraint a_code_is_tried_on_a_challenge check (status <> 'VERIFYING'
        or challenge_id is not null)
) with (fillfactor = 60);

-- The work table of the deadlines: a row from a payment's first commit until it is declined,
-- settled or returned; `due_at` is null once it is confirmed.
create table unfinished_payment (
    id          uuid        primary key,
    due_at      timestamptz,
    attempts    integer     not null default 0,
    owner       text,
    lease_until timestamptz,
    epoch       bigint      not null default 0,
    parked_at   timestamptz,
    last_error  text
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

do $$
declare
    pages constant bigint := pg_relation_size('payment') / current_setting('block_size')::bigint + 1;
    step  constant bigint := greatest(1000, pages / 20);
    first bigint := 0;
begin
    while first < pages loop
        insert into payment_state
        select id, status, version, request_id, reply_partition, due_at, updated_at,
               settlement_status, settlement_version, risk_score, risk_level, challenge_id,
               challenge_number, challenged_at, challenge_ends_at, challenge_over, tag_under_test,
               accepted_tag, reason, answer_status, answer_body
        from payment where ctid >= format('(%s,0)', first)::tid
                       and ctid < format('(%s,0)', first + step)::tid;
        first := first + step;
        raise notice 'states of payments: % %%', least(100, 100 * first / pages);
    end loop;
    if (select count(*) from payment_state) <> (select count(*) from payment) then
        raise exception 'payments and their states differ: the database is left as it was';
    end if;
end $$;
alter table payment_state add primary key (id);

insert into unfinished_payment (id, due_at, attempts, epoch, parked_at, last_error)
select id, due_at, attempts, epoch, parked_at, last_error from payment
where due_at is not null or settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE');
create index unfinished_payment_due on unfinished_payment (due_at) where due_at is not null;
create index unfinished_payment_parked on unfinished_payment (id) where parked_at is not null;

drop trigger payment_steps on payment;
-- Their indexes and checks go with the columns.
alter table payment
    drop column status, drop column version, drop column request_id, drop column reply_partition,
    drop column due_at, drop column updated_at, drop column settlement_status,
    drop column settlement_version, drop column risk_score, drop column risk_level,
    drop column challenge_id, drop column challenge_number, drop column challenged_at,
    drop column challenge_ends_at, drop column challenge_over, drop column tag_under_test,
    drop column accepted_tag, drop column reason, drop column answer_status,
    drop column answer_body, drop column attempts, drop column owner, drop column lease_until,
    drop column epoch, drop column parked_at, drop column last_error;
alter table payment set (fillfactor = 100);

create or replace function refuse_illegal_step() returns trigger language plpgsql as $$
begin
    raise exception 'payment %: no way from % (version %, % %) to % (version %, % %)',
        old.id, old.status, old.version, old.settlement_status, old.settlement_version,
        new.status, new.version, new.settlement_status, new.settlement_version;
end $$;
-- After the decision only the settlement moves on, until it has ended, and never to a lower version.
create trigger payment_steps before update on payment_state for each row
    when (new.settlement_version < old.settlement_version or not (
        (old.status in ('CONFIRMED', 'DECLINED')
            and old.settlement_status not in ('NONE', 'SETTLED', 'REJECTED')
            and (new.status, new.version, new.request_id, new.reply_partition, new.risk_score,
                 new.risk_level, new.challenge_id, new.challenge_number, new.challenged_at,
                 new.challenge_ends_at, new.challenge_over, new.tag_under_test, new.accepted_tag,
                 new.answer_status, new.answer_body)
                is not distinct from
                (old.status, old.version, old.request_id, old.reply_partition, old.risk_score,
                 old.risk_level, old.challenge_id, old.challenge_number, old.challenged_at,
                 old.challenge_ends_at, old.challenge_over, old.tag_under_test, old.accepted_tag,
                 old.answer_status, old.answer_body))
        or (new.status = old.status and new.version = old.version
            and old.status not in ('CONFIRMED', 'DECLINED'))
        or (new.version = old.version + 1 and (old.status, new.status) in (
            ('AWAITING_RISK', 'CHALLENGING'), ('AWAITING_RISK', 'CONFIRMED'),
            ('AWAITING_RISK', 'DECLINED'), ('CHALLENGING', 'AWAITING_CODE'),
            ('CHALLENGING', 'DECLINED'), ('AWAITING_CODE', 'CHALLENGING'),
            ('AWAITING_CODE', 'VERIFYING'), ('AWAITING_CODE', 'DECLINED'),
            ('VERIFYING', 'AWAITING_CODE'), ('VERIFYING', 'CONFIRMED'),
            ('VERIFYING', 'DECLINED')))))
    execute function refuse_illegal_step();

-- A payment as one row.
create view payment_record as select * from payment join payment_state using (id);

revoke all on payment, review_case from {service};
grant select, insert on payment, payment_record to {service};
grant select, insert (id, payment_id, reasons) on review_case to {service};
grant select, insert, update (status, version, request_id, reply_partition, due_at, updated_at,
        settlement_status, settlement_version, risk_score, risk_level, challenge_id,
        challenge_number, challenged_at, challenge_ends_at, challenge_over, tag_under_test,
        accepted_tag, reason, answer_status, answer_body) on payment_state to {service};
grant select, insert (id, due_at), delete,
      update (due_at, attempts, owner, lease_until, epoch, parked_at, last_error)
    on unfinished_payment to {service};
