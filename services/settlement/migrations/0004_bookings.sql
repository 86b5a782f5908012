-- Every movement of money that a partner's statement has shown, once: what was booked twice on two
-- pages or two days is found by its UETR, without any statement being read again.

create table booking (
    -- Follows from the partner, the UETR, the bank's reference and its time (domain/statements.py).
    id             uuid        primary key,
    partner        text        not null,
    uetr           uuid        not null,
    -- Of the first statement on which it was seen.
    day            date        not null,
    -- Both null where the amount is none of ours.
    amount_minor   bigint,
    currency       text,
    is_reversal    boolean     not null,
    bank_reference text,
    booked_at      timestamptz,
    seen_at        timestamptz not null default now(),
    check ((amount_minor is null) = (currency is null))
);

create index booking_uetr on booking (uetr);

grant select, insert, update on booking to {service};

-- Which statements were read to their end, and when: a day that was missed is read later.
create table statement_read (
    partner text        not null,
    day     date        not null,
    read_at timestamptz not null,
    primary key (partner, day)
);

grant select, insert, update on statement_read to {service};

-- The same break with other facts (booked a third time, another amount) is another case. One that
-- has explained itself, which settlement itself resolves, may come back as a new one.
alter table reconciliation_case drop constraint reconciliation_case_partner_uetr_kind_key;
create unique index reconciliation_case_break
    on reconciliation_case (partner, uetr, kind, details)
    where resolved_by is distinct from 'settlement';
create index reconciliation_case_uetr on reconciliation_case (uetr);

-- When a bank first refused a transfer alone, or answered nothing intelligible about it.
alter table instruction add column unusable_since timestamptz;
