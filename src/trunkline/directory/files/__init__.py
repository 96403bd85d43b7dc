"""Directory files: read, compared, applied, exported; CSV files and lists."""
