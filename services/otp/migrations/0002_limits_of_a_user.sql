-- Limits that follow the user over all payments. {service} is the service's role.

-- What was issued before this day counts for nothing any more: its rows are not written again.
alter table challenge add column issued_at timestamptz not null default '2000-01-01 00:00+00';
update challenge set issued_at = expires_at - interval '300 s'
    where expires_at > now() - interval '1 day';
alter table challenge alter column issued_at set default now();
create index challenge_of_user on challenge (user_id, issued_at);

-- One row a user: whoever issues a code or judges one locks it first.
create table code_user (
    user_id               text        primary key check (char_length(user_id) between 1 and 128),
    wrong_in_a_row        smallint    not null default 0 check (wrong_in_a_row between 0 and 100),
    locked_at             timestamptz,
    locked_payment_id     uuid,
    locked_transaction_id text,
    constraint locked_on_a_payment check ((locked_at is null) = (locked_payment_id is null)
                                      and (locked_at is null) = (locked_transaction_id is null)),
    constraint a_hundred_lock check (wrong_in_a_row < 100 or locked_at is not null),
    constraint only_wrong_codes_lock check (locked_at is null or wrong_in_a_row > 0)
) with (fillfactor = 80);

-- What a request for a code was refused for: the same request has one answer.
create table challenge_refusal (
    payment_id    uuid        not null,
    version       integer     not null,
    number        smallint    not null check (number between 1 and 3),
    reason        text        not null check (reason in ('locked', 'undeliverable', 'too_many')),
    retry_after_s integer     check (retry_after_s >= 1),
    refused_at    timestamptz not null default now(),
    primary key (payment_id, version),
    constraint only_a_limit_passes check ((retry_after_s is not null) = (reason = 'too_many'))
);

alter table verification
    add column codes_locked boolean not null default false,
    drop constraint only_wrong_codes_leave_it_open,
    add constraint only_wrong_codes_leave_it_open
        check (codes_locked or challenge_over = (result <> 'invalid')),
    add constraint a_locked_user_is_not_judged
        check (not codes_locked or (result = 'locked' and not counted));

grant select, insert on challenge_refusal to {service};
grant select, insert, update on code_user to {service};
