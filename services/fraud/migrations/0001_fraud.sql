-- Activity that features are made of, payments and reports, scores, and models with their stages.
-- {service} is the service's role.

-- Counts of one key in one bucket of six hours; `domain/features.py` defines both.
create table activity (
    kind         text        not null check (
        kind in ('customer', 'payee', 'device', 'customer_payee', 'customer_device')),
    key          text        not null,
    bucket       integer     not null,
    payments     bigint      not null default 0 check (payments >= 0),
    amount_minor bigint      not null default 0 check (amount_minor >= 0),  -- US cents
    reports      bigint      not null default 0 check (reports >= 0),
    begins_at    timestamptz not null,
    primary key (kind, key, bucket)
);
create index activity_by_age on activity (begins_at);

create table paid (
    payment_id       uuid        primary key,   -- each payment counts once
    user_id          text        not null,
    transaction_id   text        not null,
    payee            text        not null,
    device           text,
    amount_usd_minor bigint      not null check (amount_usd_minor >= 0),
    confirmed_at     timestamptz not null,
    unique (user_id, transaction_id)
);
create index paid_by_age on paid (confirmed_at);

create table report (
    payment_id  uuid        primary key references paid on delete cascade,  -- the first one counts
    fraud_type  text        not null check (fraud_type in
        ('payment_fraud', 'account_takeover', 'identity_theft', 'velocity_abuse')),
    details     text        check (char_length(details) <= 2000),
    reported_by text        not null,
    reported_at timestamptz not null
);

create table score (
    payment_id  uuid             not null,
    version     text             not null,
    decides     boolean          not null,   -- whether risk was given this one
    user_id     text             not null,
    probability double precision not null check (probability between 0 and 1),
    reasons     text[]           not null,
    features    real[]           not null,
    scored_at   timestamptz      not null,
    primary key (payment_id, version)
);
create index score_by_age on score (scored_at);
create index score_of_version on score (version, scored_at);

create table model (
    version       text        primary key check (version ~ '^[a-z0-9][a-z0-9.-]{0,63}$'),
    stage         text        not null check (stage in ('SHADOW', 'CANARY', 'LIVE', 'RETIRED')),
    share         smallint    not null check (share between 0 and 100),
    card          jsonb       not null,      -- data hash, code version, figures
    registered_at timestamptz not null default now(),
    live_since    timestamptz,
    check ((stage = 'CANARY') = (share between 1 and 99)),
    check ((stage = 'LIVE') = (share = 100))
);
create unique index model_is_live_alone on model (stage) where stage = 'LIVE';
create unique index model_is_canary_alone on model (stage) where stage = 'CANARY';

-- A model takes part in decisions by the approval of a second person; back to one that has been live,
-- and out of decisions, by one. The first model of an empty registry is live.
create trigger model_needs_two_people before update on model for each row
    when (new.share > old.share and not (new.stage = 'LIVE' and old.live_since is not null))
    execute function require_approval('FRAUD_MODEL_STAGE_SET', '', 'version', 'stage', 'share');
create function refuse_second_start() returns trigger language plpgsql as $$
begin
    if new.stage <> 'SHADOW' and exists (select from model) then
        raise exception 'a further model begins as a shadow';
    end if;
    return new;
end $$;
create trigger model_begins_as_shadow before insert on model for each row
    execute function refuse_second_start();

grant select, insert, update, delete on activity, paid, report, score to {service};
grant select, insert, update on model to {service};
