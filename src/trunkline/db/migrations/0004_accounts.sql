-- Agents known before they have a client; a brake on guessing passwords.

alter table accounts add column is_agent boolean not null default false;
update accounts a set is_agent = true where exists (select from accounts c where c.parent_account_id = a.account_id);
create index on accounts (parent_account_id) where parent_account_id is not null;

create table login_failures (                              -- a guess names no account, so neither does this table
    subject text primary key,                              -- login in small letters, and the address if known
    failures int not null,                                 -- in a row
    last_failed_at timestamptz not null
);
