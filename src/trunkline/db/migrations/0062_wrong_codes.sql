-- Wrong codes in a row with which somebody tried to turn codes off: the next one has to wait.
alter table second_factors
    add column failures int not null default 0,
    add column last_failed_at timestamptz;
