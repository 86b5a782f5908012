-- What a round has verified stays when its person states something else afterwards: payments are
-- screened by the verified name. A copy of `sealed`, under the same key of the subject.

alter table kyc_profile add column verified_sealed bytea;
update kyc_profile set verified_sealed = sealed where state = 'VERIFIED';
