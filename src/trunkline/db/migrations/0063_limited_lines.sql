-- The line whose limits an outgoing call counts for: the one that forwards it, or began its session.
alter table call_legs add column limited_line_id bigint;
