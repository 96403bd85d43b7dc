"""Composition of the three processes from packages.

``python -m trunkline.roles switch|web|worker`` runs one of them; ``trunkline up`` runs all. A role prints
``{"ready": "<role>"}`` once it can do its work, and ends on SIGTERM when what is under way is done. Each is a module of
its own, so that a process imports only what it needs.
"""
