-- Messages of one payment go out in its order; what does not hold any more is dropped.

alter table delivery
    add column challenge_id uuid,
    add column challenge_number smallint not null default 0,
    drop constraint delivery_template_check,
    add constraint delivery_template_check check (template in
        ('code', 'confirmed', 'declined', 'returned', 'codes_locked', 'codes_unlocked')),
    drop constraint delivery_status_check,
    add constraint delivery_status_check check (status in
        ('QUEUED', 'DELIVERED', 'REFUSED', 'EXPIRED', 'OBSOLETE')),
    add constraint only_a_code_is_obsolete check (status <> 'OBSOLETE' or template = 'code');

-- Challenges that take no codes any more, as otp has told: their codes are not sent.
create table challenge_over (
    challenge_id uuid        primary key,
    told_at      timestamptz not null default now()
);

grant select, insert on challenge_over to {service};
