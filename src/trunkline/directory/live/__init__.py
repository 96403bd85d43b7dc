"""The directory as calls see it: loaded, kept up to date, compared between processes."""
