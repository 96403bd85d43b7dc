"""Rules for a call on a virtual number: the scenario, the next operation, the phones to ring. Pure."""
