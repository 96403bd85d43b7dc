-- Whole seconds that each employee talked with the contact, by employee_id: a transferred call has talks of several. Null
-- while the call lives, for uploaded calls and for those that ended before this column was added.
alter table call_sessions add column employee_talks jsonb;
