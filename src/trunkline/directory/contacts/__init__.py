"""The address book: contacts, their groups and organisations; lists and changes."""
