"""The one catalogue of what happened, and the way from there to those who listen."""
