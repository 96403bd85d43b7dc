"""Fields of offline messages that an account defines, as items of a directory file. Their methods: ``uploads``."""
