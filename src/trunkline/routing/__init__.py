"""What happens to a call on a virtual number: which scenario, which operation next, whom to ring. Pure rules."""
