-- Mails of accounts: voice messages with their recording, and notifications of scenarios. A row is written with the job that
-- sends it, in the transaction that handles the event.
create table account_mails (
    account_id bigint not null references accounts on delete cascade,
    mail_key text not null,                                -- what it is about; part of the Message-ID
    email text not null,
    call_session_id bigint,
    recording_id text,                                     -- attached; null: nothing
    subject text not null,
    body text not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz,                                   -- when the mail server accepted it
    failure text,                                          -- why it is not sent
    primary key (account_id, mail_key, email)
);
create index account_mails_day on account_mails (account_id, created_at);

-- Domains that mails of the account may go to; null: all.
alter table accounts add column mail_domains text[];
