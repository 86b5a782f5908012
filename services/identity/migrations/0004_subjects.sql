-- E-mail addresses are sealed, each under the key of its person, and are found by an HMAC; the keys are not in the
-- database. {service} is the service's role.
-- include service_runtime/subjects.sql

-- A job seals existing rows; until then they are in clear.
alter table email_address
    drop constraint email_address_pkey,
    drop constraint email_address_user_id_key,
    add primary key (user_id),
    alter column address drop not null,
    add column lookup text constraint email_address_taken unique check (lookup ~ '^[0-9a-f]{64}$'),
    add column key_id uuid,
    add column sealed bytea,
    add constraint sealed_or_in_clear check (
        num_nulls(lookup, key_id, sealed) in (0, 3) and (address is null) = (sealed is not null));
create unique index email_address_in_clear on email_address (address) where address is not null;
grant update (address, lookup, key_id, sealed) on email_address to {service};

-- The role removes addresses of erased persons, and no others.
create function forget_addresses(users text[]) returns void
    language sql security definer set search_path = {service}, pg_temp as $$
    delete from email_address using subject
    where subject.user_id = any(users) and erased_at is not null
      and email_address.user_id = case when subject.user_id ~ '^cs_user_[0-9a-f]{32}$'
                                       then substr(subject.user_id, 9)::uuid end
$$;
revoke all on function forget_addresses(text[]) from public;
grant execute on function forget_addresses(text[]) to {service};

alter table session
    drop constraint session_ended_by_check,
    add constraint session_ended_by_check check (
        ended_by in ('logout', 'owner', 'password', 'reuse', 'limit', 'operator', 'erasure'));
