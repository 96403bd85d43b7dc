-- Where employees forward their calls: an extension, a line of the account, or an outside number; empty: nowhere.
alter table employees
    add column forward_always text not null default '' check (length(forward_always) <= 60),
    add column forward_busy text not null default '' check (length(forward_busy) <= 60),
    add column forward_no_answer text not null default '' check (length(forward_no_answer) <= 60);
