-- A charge that ended without money needs no review. Until now it stayed among the reviews.
update charge set review = 'NONE'
where status in ('DECLINED', 'FAILED', 'CANCELLED') and review in ('LISTED', 'HELD');
alter table charge add constraint unpaid_needs_no_review
    check (status not in ('DECLINED', 'FAILED', 'CANCELLED') or review not in ('LISTED', 'HELD'));
