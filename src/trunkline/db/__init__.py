"""Database access: the connection pool, schema migrations, partitions, and the query language of list methods."""
