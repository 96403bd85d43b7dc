"""The integration of Planfix: what it needs of an account, made and checked."""
