-- Challenges and what was judged of them. {service} is the service's role.

create table challenge (
    id           uuid        primary key,
    payment_id   uuid        not null,
    number       smallint    not null check (number between 1 and 3),
    user_id      text        not null check (char_length(user_id) between 1 and 128),
    amount_minor bigint      not null check (amount_minor > 0),
    currency     text        not null check (currency ~ '^[A-Z]{3}$'),
    payee        text        not null check (char_length(payee) between 1 and 64),
    salt         text        not null check (salt ~ '^[0-9a-f]{32}$'),
    digest       text        not null check (digest ~ '^[0-9a-f]{64}$'),  -- HMAC-SHA256; never the code
    expires_at   timestamptz not null,
    attempts     smallint    not null default 0 check (attempts between 0 and 5),
    state        text        not null default 'LIVE' check (state in ('LIVE', 'ACCEPTED', 'LOCKED')),
    unique (payment_id, number),
    constraint what_ended_was_tried check (state = 'LIVE' or attempts > 0),
    constraint five_attempts_end_it check (attempts < 5 or state <> 'LIVE')
);

create index challenge_by_end on challenge (expires_at);

-- The second line of defence behind the inbox: the same question has one answer.
create table verification (
    request_id     uuid        not null,
    challenge_id   uuid        not null,
    payment_id     uuid        not null,
    result         text        not null check (result in ('valid', 'invalid', 'expired', 'locked')),
    challenge_over boolean     not null,
    counted        boolean     not null,
    judged_at      timestamptz not null,
    primary key (request_id, challenge_id, payment_id),
    constraint only_wrong_codes_leave_it_open check (challenge_over = (result <> 'invalid')),
    constraint accepted_codes_count check (counted or result in ('expired', 'locked'))
);

create unique index accepted_at_most_once on verification (challenge_id) where result = 'valid';
create index verification_of_challenge on verification (challenge_id) where counted;

grant select, insert on challenge, verification to {service};
grant update (attempts, state) on challenge to {service};
