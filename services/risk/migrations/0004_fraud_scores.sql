-- The client's device, which the models of fraud are asked with, and the score that they gave.
-- A model that was asked in vain is the factor `model_unavailable`.
alter table assessment add column device text;
alter table assessment add column fraud jsonb;
