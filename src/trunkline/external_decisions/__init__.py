"""Interactive call processing: another system decides what happens to a call that waits in a scenario."""
