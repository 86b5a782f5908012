-- Operators list identity checks by state, a page at a time.
create index kyc_profile_of_state on kyc_profile (state, user_id);
