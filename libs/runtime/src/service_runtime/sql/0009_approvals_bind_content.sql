-- An approval names the content that the approver has seen, by its digest, and what its transaction
-- writes must be in that content. {service} is the service's role.
create function proposal_digest() returns trigger language plpgsql as $$
begin
    new.digest = sha256(convert_to(jsonb_build_array(new.act, new.about, new.body)::text, 'UTF8'));
    return new;
end $$;

alter table proposal add column digest bytea;
update proposal set digest = sha256(convert_to(jsonb_build_array(act, about, body)::text, 'UTF8'));
alter table proposal alter column digest set not null,
    add constraint proposal_as_approved unique (id, act, proposed_by, expires_at, digest);
-- The role may not set it.
create trigger proposal_has_its_digest before insert on proposal for each row
    execute function proposal_digest();

alter table approval add column digest bytea;
update approval set digest = proposal.digest from proposal where id = proposal_id;
alter table approval alter column digest set not null,
    drop constraint approval_proposal_id_act_proposed_by_expires_at_fkey,
    add constraint approval_of_this_content foreign key (proposal_id, act, proposed_by, expires_at, digest)
        references proposal (id, act, proposed_by, expires_at, digest) on delete cascade;
alter table proposal drop constraint proposal_id_act_proposed_by_expires_at_key;
grant insert (digest) on approval to {service};

-- The contents of an act that this transaction has approved.
create function approved(wanted text) returns setof jsonb language sql volatile as $$
    select proposal.body from approval join proposal on id = proposal_id
    where approved_in = pg_current_xact_id() and approval.act = wanted
$$;

create function is_the_services_role() returns boolean language sql stable as $$
    select quote_ident(current_user)::regrole = '{service}'::regrole
$$;

create function refuse_unapproved(act text) returns void language plpgsql as $$
begin
    raise exception '% needs the approval of a second person for what is written', act;
end $$;

-- Arguments of the trigger: the act, the member of its content that lists the rows ('' where the
-- content is the row), and the columns that were approved.
create or replace function require_approval() returns trigger language plpgsql as $$
declare
    written jsonb := (select jsonb_object_agg(name, to_jsonb(new) -> name)
                      from unnest(tg_argv) with ordinality as argument (name, place)
                      where place > 2);
begin
    if tg_argv[1] <> '' then
        written := jsonb_build_object(tg_argv[1], jsonb_build_array(written));
    end if;
    if is_the_services_role() and not coalesce(
        (select bool_or(body @> written) from approved(tg_argv[0]) as body), false) then
        perform refuse_unapproved(tg_argv[0]);
    end if;
    return new;
end $$;
