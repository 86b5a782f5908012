-- Confirmed payments. {service} is the service's role.

create table entry (
    payment_id   uuid        primary key,  -- one entry a payment
    user_id      text        not null check (char_length(user_id) between 1 and 128),
    amount_minor bigint      not null check (amount_minor > 0),
    currency     text        not null check (currency ~ '^[A-Z]{3}$'),
    confirmed_at timestamptz not null,
    recorded_at  timestamptz not null default now()
);

grant select, insert on entry to {service};
