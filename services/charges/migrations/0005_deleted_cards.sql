-- A card may be deleted: its number and fingerprint are gone, its token says so. {service} is the service's role.

alter table card add column deleted_at timestamptz;
alter table card alter column sealed drop not null, alter column kid drop not null,
    alter column fingerprint drop not null;
alter table card add constraint card_is_sealed_or_deleted
    check (num_nulls(sealed, kid, fingerprint) = case when deleted_at is null then 0 else 3 end);
-- Of the cards under one key, a page at a time, to be sealed under another.
drop index card_by_key;
create index card_by_key on card (kid, id) where kid is not null;

-- DELETING: the provider still has the card; it is due until the provider has none.
-- `card_token_check` is the name of the check of `card.token`.
alter table card_token drop constraint card_token_status_check,
    drop constraint card_token_check1, drop constraint card_token_check2;
alter table card_token
    add constraint card_token_status
        check (status in ('PENDING', 'STORED', 'REFUSED', 'DELETING', 'DELETED')),
    add constraint card_token_has_token
        check ((status in ('STORED', 'DELETING')) = (provider_token is not null)),
    add constraint card_token_is_due
        check ((status in ('PENDING', 'DELETING')) = (due_at is not null));
drop trigger card_token_is_final on card_token;
create trigger card_token_is_final before update on card_token for each row
    when (old.status <> 'PENDING'
          and (old.status, old.provider_token) is distinct from (new.status, new.provider_token)
          and (old.status, new.status) <> ('DELETING', 'DELETED')
          and not ((old.status, new.status) = ('STORED', 'DELETING')
                   and old.provider_token = new.provider_token))
    execute function card_keeps();

-- A card is not deleted under a payment that may still be sent.
create index charge_open_by_source on charge (source)
    where status in ('CREATED', 'AUTHORIZING', 'UNKNOWN', 'AUTHORIZED');

grant update (sealed, kid, fingerprint, deleted_at) on card to {service};
