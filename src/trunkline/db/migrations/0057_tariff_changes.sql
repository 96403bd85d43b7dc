-- A change of prices or of an account's plan is announced, so that limits of money use it at once.

create function announce_tariffs() returns trigger language plpgsql as $$
begin
    perform pg_notify('trunkline_tariffs', '');
    return null;
end $$;

create trigger announce after insert or update or delete on tariff_prices
    for each statement execute function announce_tariffs();
create trigger announce after insert or update or delete on tariff_rates
    for each statement execute function announce_tariffs();
create trigger announce after insert or update or delete on account_tariff_plans
    for each statement execute function announce_tariffs();
