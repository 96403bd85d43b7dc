"""Virtual numbers as configuration: which an account has, may take from the inventory, or brings along from a
other provider, and their rules and trunks."""
