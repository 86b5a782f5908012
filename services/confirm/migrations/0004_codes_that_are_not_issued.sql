-- A payment may await a code that was not issued, because it was refused: it has no challenge, and
-- the next request asks anew. A code is tried on a challenge only.

alter table payment
    add constraint a_code_was_issued_or_refused
        check (status <> 'AWAITING_CODE'
               or (challenge_id is null) = (challenge_number = 0)),
    add constraint a_code_is_tried_on_a_challenge
        check (status <> 'VERIFYING' or challenge_id is not null);
