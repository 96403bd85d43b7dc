"""Tags as an administrator sees them: the list and its changes. Putting them on calls and chats: ``tagging``."""
