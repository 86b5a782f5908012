-- Whom a changed list is compared with: the parties of open and of confirmed payments, as the topics
-- say, in whatever order they are read; and the hits that were reported. {service} is the service's
-- role. Names are sealed, and go once a payment is declined.

create table screened_payment (
    payment_id     uuid        primary key,
    user_id        text,
    transaction_id text,
    from_account   text,
    to_account     text,
    amount_minor   bigint,
    currency       text,
    sealed_to_name text        check (char_length(sealed_to_name) between 1 and 2000),
    risk_score     smallint    check (risk_score between 0 and 100),
    lists_version  text,       -- of the lists that the parties were last screened with
    outcome        text        check (outcome in ('CONFIRMED', 'DECLINED')),
    seen_at        timestamptz not null default now(),
    constraint declined_has_no_name check (outcome is distinct from 'DECLINED' or sealed_to_name is null),
    constraint requested_is_whole check (
        num_nulls(user_id, transaction_id, from_account, to_account, amount_minor, currency) in (0, 6)),
    constraint assessed_is_whole check ((risk_score is null) = (lists_version is null))
);
create index screened_payment_by_version on screened_payment (lists_version, payment_id)
    where lists_version is not null and to_account is not null and outcome is distinct from 'DECLINED';
create index screened_payment_by_age on screened_payment (seen_at);

-- Kept as long as records of sanctions: ten years, 31 CFR 501.601. It has no name.
create table reported_hit (
    payment_id    uuid        not null,
    party         text        not null check (party in ('debtor', 'creditor')),
    list_name     text        not null,
    entry_id      text        not null,
    account_id    text        not null,
    match_score   smallint    not null check (match_score between 0 and 100),
    list_version  text        not null,
    is_open       boolean     not null,  -- whether the payment was undecided
    reported_at   timestamptz not null default now(),
    primary key (payment_id, party, list_name, entry_id)
);
-- A known party is one case, however many payments it has.
create unique index reported_hit_of_known_party on reported_hit (account_id, list_name, entry_id)
    where not is_open;

grant select, insert, update, delete on screened_payment to {service};
grant select, insert on reported_hit to {service};
