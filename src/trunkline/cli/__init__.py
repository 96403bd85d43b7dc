"""The command ``trunkline``; ``main`` has the groups, each other module the commands of one group."""
