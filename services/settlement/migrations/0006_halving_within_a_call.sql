-- A refused message is halved within the call that sent it: no row keeps the size of its messages.

alter table instruction drop column batch_rows;
