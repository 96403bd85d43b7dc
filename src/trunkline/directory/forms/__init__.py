"""What the forms of all entities in a directory file are made of."""
