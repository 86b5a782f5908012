-- A range that is not summed up is read by every search for what is old: each is, once it is full.
alter index inbox_handled set (autosummarize = on);
