-- Contacts are sealed, each under the key of its person; the keys are not in the database.
-- include service_runtime/subjects.sql

-- Rows of before are sealed by a job; until then they are in clear. `sealed`: JSON of phone and email.
alter table contact
    alter column phone drop not null,
    alter column email drop not null,
    add column key_id uuid,
    add column sealed bytea,
    add constraint sealed_or_in_clear check (num_nulls(phone, email) in (0, 2)
        and num_nulls(key_id, sealed) in (0, 2) and (phone is null) = (sealed is not null));
create index contact_in_clear on contact (user_id) where sealed is null;
grant update (key_id, sealed) on contact to {service};

-- Sealing what is in clear is no change. The database cannot know whether the ciphertext is that of the row:
-- while a row is in clear, the role could replace it. Afterwards two people approve each change.
drop trigger contact_change_needs_two_people on contact;
create trigger contact_change_needs_two_people before update on contact for each row
    when ((new.user_id, new.phone, new.email, new.key_id, new.sealed)
          is distinct from (old.user_id, old.phone, old.email, old.key_id, old.sealed)
          and not (old.sealed is null and new.sealed is not null and new.user_id = old.user_id))
    execute function require_approval('CONTACTS_CHANGE', 'contacts', 'user_id', 'key_id', 'sealed');
drop trigger contact_change_pauses_codes on contact;
create trigger contact_change_pauses_codes before update on contact for each row
    when ((new.phone, new.email, new.sealed) is distinct from (old.phone, old.email, old.sealed)
          and not (old.sealed is null and new.sealed is not null))
    execute function contact_pauses_codes();

-- Who was erased gets no contact again: the role could change one by an erasure.
create function refuse_contact_of_erased() returns trigger language plpgsql as $$
begin
    if exists (select from subject where user_id = new.user_id and erased_at is not null) then
        raise exception 'contact: % was erased', new.user_id;
    end if;
    return new;
end $$;
create trigger contact_of_erased before insert or update on contact for each row
    execute function refuse_contact_of_erased();

-- The role deletes contacts of erased persons, and no others.
create function forget_contacts(users text[]) returns void
    language sql security definer set search_path = {service}, pg_temp as $$
    delete from contact using subject
    where contact.user_id = any(users) and subject.user_id = contact.user_id and erased_at is not null
$$;
revoke all on function forget_contacts(text[]) from public;
grant execute on function forget_contacts(text[]) to {service};

-- Notices of before hold their address in clear until they have ended, a day at most.
alter table delivery
    add column former_sealed bytea,
    drop constraint former_address_until_the_end,
    add constraint former_address_until_the_end check (
        (num_nulls(former_address, former_sealed) = 1) = (template = 'contact_changed' and status = 'QUEUED')
        and num_nonnulls(former_address, former_sealed) < 2);

-- Proposals of before hold contacts in clear: they must be proposed again.
update proposal set body = '{}' where act = 'CONTACTS_CHANGE';
