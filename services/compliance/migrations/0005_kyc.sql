-- Identity checks. Every column `sealed` holds personal data under the subject's key.

create table kyc_profile (
    user_id        text        primary key references subject (user_id),
    round          integer     not null check (round between 1 and 10000),
    level          text        not null check (level in ('BASIC', 'ENHANCED')),
    state          text        not null check (
        state in ('INITIATED', 'CHECKING', 'REVIEW', 'VERIFIED', 'REJECTED')),
    verified_level text        check (verified_level in ('BASIC', 'ENHANCED')),
    verified_at    timestamptz,
    verified_until timestamptz,
    -- Until a later round verifies the person.
    rejected_at    timestamptz,
    announced      text        not null check (
        announced in ('verified', 'pending', 'expired', 'rejected')),
    version        integer     not null,
    sealed         bytea,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    constraint verified_whole check (
        num_nulls(verified_level, verified_at, verified_until) in (0, 3)),
    constraint verified_until_an_end check (state <> 'VERIFIED' or verified_until is not null),
    constraint rejected_is_not_verified check (rejected_at is null or verified_until is null),
    constraint rejected_at_a_time check (state <> 'REJECTED' or rejected_at is not null)
);
create index kyc_profile_to_expire on kyc_profile (verified_until) where announced = 'verified';

create table kyc_document (
    id          uuid        primary key,
    user_id     text        not null references subject (user_id),
    round       integer     not null,
    type        text        not null,
    media_type  text        not null,
    size_bytes  integer     not null check (size_bytes between 1 and 10485760),
    -- HMACs of the document's number, one by each key of the ring: the same document of two people
    -- is found, also across a rotation, and never read.
    numbers     text[]      not null default '{}' check (cardinality(numbers) <= 10),
    expires_on  date,
    sealed      bytea,      -- what its machine-readable zone says
    uploaded_at timestamptz not null default now()
);
create index kyc_document_of_user on kyc_document (user_id, round);
create index kyc_document_of_number on kyc_document using gin (numbers);
create index kyc_document_by_age on kyc_document (uploaded_at);

-- Calls of the provider: a work table. One check a round.
create table kyc_check (
    id           uuid        primary key,
    user_id      text        not null references subject (user_id),
    round        integer     not null,
    applicant_id text        check (char_length(applicant_id) between 1 and 100),
    provider_id  text        unique check (char_length(provider_id) between 1 and 100),
    sent         uuid[]      not null default '{}',   -- documents that the provider has
    result       text        check (result in ('clear', 'consider')),
    created_at   timestamptz not null default now(),
    ended_at     timestamptz,
    due_at       timestamptz,
    attempts     integer     not null default 0,
    owner        text,
    lease_until  timestamptz,
    epoch        bigint      not null default 0,
    parked_at    timestamptz,
    last_error   text,
    trace        jsonb       not null default '[]',
    unique (user_id, round),
    constraint ended_or_due check ((ended_at is null) = (due_at is not null))
);
create index kyc_check_due on kyc_check (due_at) where due_at is not null and parked_at is null;
create index kyc_check_by_age on kyc_check (ended_at) where ended_at is not null;

grant select, insert, update on kyc_profile to {service};
grant select, insert, update, delete on kyc_document, kyc_check to {service};
