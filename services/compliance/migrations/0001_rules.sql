-- Rules by version, payments that were, and checks. {service} is the service's role.

-- A version is never changed; the highest one of a rule counts. Days are in UTC.
create table rule_version (
    rule_id      text        not null check (rule_id ~ '^[A-Za-z][A-Za-z0-9_]{1,63}$'),
    version      integer     not null check (version between 1 and 1000000),
    jurisdiction text        not null check (jurisdiction ~ '^(GLOBAL|EU|[A-Z]{2})$'),
    condition    text        not null check (char_length(condition) between 1 and 1000),
    action       text        not null check (
        action in ('BLOCK', 'REQUIRE_OTP', 'REQUIRE_EDD', 'REVIEW', 'TAG')),
    severity     text        not null check (severity in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    active_from  date,
    active_to    date,
    created_at   timestamptz not null default now(),
    primary key (rule_id, version),
    check (active_from <= active_to)
);

create trigger rule_needs_two_people before insert on rule_version for each row
    execute function require_approval('RULE_SET', '', 'rule_id', 'version', 'jurisdiction',
        'condition', 'action', 'severity', 'active_from', 'active_to');

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'a version of a rule is never changed: add the next one';
end $$;
create trigger rule_versions_stay before update or delete or truncate on rule_version
    execute function refuse_change();

-- The first three as printed in credit-platform.md. The schema's owner adds them: each later version
-- takes two people.
insert into rule_version (rule_id, version, jurisdiction, condition, action, severity) values
    ('US_AMOUNT_LIMIT', 1, 'US', 'transaction.amount > 10000 AND user.jurisdiction == ''US''',
     'REQUIRE_EDD', 'MEDIUM'),
    ('EU_MiCA_COMPLIANCE', 1, 'EU',
     'transaction.type == ''CRYPTO'' AND user.jurisdiction IN EU_COUNTRIES', 'TAG', 'LOW'),
    ('GLOBAL_SANCTIONS', 1, 'GLOBAL', 'user.sanctionStatus != ''CLEAR''', 'BLOCK', 'CRITICAL'),
    ('MONITORED_USER', 1, 'GLOBAL', 'user.monitored', 'REVIEW', 'HIGH');

-- What risk.assessed.v1 and payment.confirmed.v1 say of a payment, in whatever order they are read.
create table known_payment (
    payment_id       uuid        primary key,
    user_id          text        not null,
    amount_usd_minor bigint,
    debtor_hit       boolean,
    creditor_hit     boolean,
    match_score      smallint,
    list_version     text,
    kyc              text,
    payee            text,
    amount_minor     bigint,
    currency         text,
    country          text,
    confirmed_at     timestamptz,
    seen_at          timestamptz not null default now()
);
create index known_payment_of_user on known_payment (user_id, confirmed_at)
    include (amount_usd_minor) where confirmed_at is not null;
create index known_payment_of_payee on known_payment (user_id, payee) where payee is not null;
create index known_payment_by_time on known_payment (confirmed_at, payment_id)
    where confirmed_at is not null;
create index known_payment_by_age on known_payment (seen_at);

create table compliance_check (
    id         uuid        primary key,
    user_id    text        not null,
    payment_id uuid,
    type       text        not null check (type in ('PAYMENT', 'TRANSACTION')),
    status     text        not null check (
        status in ('PASSED', 'REVIEW', 'OTP_REQUIRED', 'BLOCKED')),
    rules      jsonb       not null,
    results    jsonb       not null,
    metadata   jsonb       not null default '{}',
    by         text        not null,   -- an operator, or the machine that asked
    created_at timestamptz not null default now()
);
create index compliance_check_of_payment on compliance_check (payment_id)
    where payment_id is not null;
create index compliance_check_by_age on compliance_check (created_at);

create table monitored_user (
    user_id    text        primary key check (char_length(user_id) between 1 and 128),
    reason     text        not null check (char_length(reason) between 1 and 500),
    started_by text        not null,
    started_at timestamptz not null default now(),
    until      timestamptz
);

grant select, insert on rule_version to {service};
-- Updating is what PostgreSQL asks of whoever locks rows; deleting is for what is too old.
grant select, insert, update, delete on known_payment, compliance_check to {service};
grant select, insert, update on monitored_user to {service};
