-- A changed contact: the former address is notified, and codes pause for a day. Whoever has changed it to
-- receive codes can confirm nothing until the customer had time to react.
alter table contact add column codes_paused_until timestamptz;

create function contact_pauses_codes() returns trigger language plpgsql as $$
begin
    new.codes_paused_until = now() + interval '1 day';
    return new;
end $$;
create trigger contact_change_pauses_codes before update on contact for each row
    when ((new.phone, new.email) is distinct from (old.phone, old.email))
    execute function contact_pauses_codes();

-- The pause is the database's: the role may neither shorten it nor give a contact to another user.
revoke update on contact from {service};
grant update (phone, email, updated_at) on contact to {service};

-- A notice about a contact belongs to no payment, and goes to the address that it had.
alter table delivery
    add column former_address text,
    alter column payment_id drop not null,
    alter column transaction_id drop not null,
    alter column amount_minor drop not null,
    alter column currency drop not null,
    alter column to_account drop not null,
    drop constraint delivery_template_check,
    add constraint delivery_template_check check (template in
        ('code', 'confirmed', 'declined', 'returned', 'codes_locked', 'codes_unlocked', 'contact_changed')),
    add constraint belongs_to_a_payment check (template = 'contact_changed' or
        num_nulls(payment_id, transaction_id, amount_minor, currency, to_account) = 0),
    add constraint former_address_until_the_end check ((former_address is not null)
        = (template = 'contact_changed' and status = 'QUEUED'));
