"""The SQL files of the schema, ``NNNN_topic.sql``; :mod:`trunkline.db.migrate` runs them."""
