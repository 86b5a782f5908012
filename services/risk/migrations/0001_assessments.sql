-- Assessments (at the same time the work table of questions that wait for an answer), and what
-- risk has learned from successful payments. {service} is the service's role.

create table assessment (
    id               uuid        primary key,  -- the payment's: one assessment a payment
    user_id          text        not null check (char_length(user_id) between 1 and 128),
    transaction_id   text        not null check (char_length(transaction_id) between 1 and 64),
    amount_minor     bigint      not null check (amount_minor > 0),
    currency         text        not null check (currency ~ '^[A-Z]{3}$'),
    from_account     text        not null check (char_length(from_account) between 1 and 64),
    to_account       text        not null check (char_length(to_account) between 1 and 64),
    country          text,
    requested_at     timestamptz not null,
    expires_at       timestamptz not null,
    status           text        not null check (status in ('WAITING', 'ASSESSED', 'EXPIRED')),
    score            smallint    check (score between 0 and 100),
    level            text        check (level in ('low', 'medium', 'high', 'critical')),
    amount_usd_minor bigint      check (amount_usd_minor >= 0),
    factors          jsonb,
    sanctions        text        check (sanctions in ('clear', 'hit')),
    screenings       jsonb,      -- debtor's and creditor's: hit, list version, match score
    kyc              text        check (kyc in ('verified', 'pending', 'expired', 'rejected')),
    assessed_at      timestamptz,
    due_at           timestamptz,
    attempts         integer     not null default 0,
    owner            text,
    lease_until      timestamptz,
    epoch            bigint      not null default 0,
    parked_at        timestamptz,
    last_error       text,
    trace            jsonb,
    -- Nothing counts as assessed without both screenings and the state of the documents (I12).
    constraint assessed_is_whole check (
        case when status = 'ASSESSED'
             then num_nonnulls(score, level, amount_usd_minor, factors, sanctions, screenings, kyc,
                               assessed_at) = 8
                  and jsonb_array_length(screenings) = 2
             else num_nonnulls(score, level, amount_usd_minor, factors, sanctions, screenings, kyc,
                               assessed_at) = 0
        end),
    constraint hit_is_told check (
        (sanctions = 'hit') = (screenings @> '[{"hit": true}]'::jsonb)),
    constraint only_what_waits_is_due check ((due_at is not null) = (status = 'WAITING'))
);

create index assessment_due on assessment (due_at) where due_at is not null;
create index assessment_parked on assessment (id) where parked_at is not null;

create table known_payee (
    user_id       text        not null,
    payee         text        not null,
    first_paid_at timestamptz not null,
    primary key (user_id, payee)
);

create table known_country (
    user_id       text        not null,
    country       text        not null,
    first_paid_at timestamptz not null,
    primary key (user_id, country)
);

-- Distinct successful payments of the last minutes; older ones say nothing about velocity.
create table recent_payment (
    payment_id   uuid        primary key,
    user_id      text        not null,
    confirmed_at timestamptz not null
);

create index recent_payment_of_user on recent_payment (user_id, confirmed_at);
create index recent_payment_by_age on recent_payment (confirmed_at);

grant select, insert, update on assessment to {service};
grant select, insert on known_payee, known_country to {service};
-- Updating is what PostgreSQL asks of whoever locks rows, as forgetting the old ones does.
grant select, insert, update, delete on recent_payment to {service};
