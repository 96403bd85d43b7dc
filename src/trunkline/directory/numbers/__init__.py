"""Virtual numbers as configuration: which an account has, may take from the inventory, or brings along from a
provider of its own, and their rules and trunks."""
