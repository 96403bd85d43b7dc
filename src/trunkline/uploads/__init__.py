"""Communications that come from other systems: uploaded calls with their recordings, chats, messages, e-mails, visits."""
