-- Every change of a payment writes each of its indexes: one serves both the constraint and the
-- look-up by transaction.

drop index payment_transaction_id;
alter table payment
    drop constraint payment_transaction,
    add constraint payment_transaction unique (transaction_id, user_id);
