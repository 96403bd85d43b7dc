"""Mailboxes of employees: messages that callers left for them, new and saved, and the PIN that opens a mailbox."""
