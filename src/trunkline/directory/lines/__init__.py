"""SIP lines as an administrator sees them: a list, and changes."""
