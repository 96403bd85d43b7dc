-- A permission of its own for satellite and international networks and premium-rate numbers.
alter table security_rules drop constraint security_rules_direction_check;
alter table security_rules add constraint security_rules_direction_check
    check (direction in ('mobile', 'national', 'international', 'premium'));
