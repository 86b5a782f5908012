-- What compliance has announced of identity checks: the last event of each user. {service} is the
-- service's role.

create table kyc_status (
    user_id     text        primary key,
    version     integer     not null,
    status      text        not null check (status in ('verified', 'pending', 'expired', 'rejected')),
    valid_until timestamptz
);

grant select, insert, update on kyc_status to {service};
