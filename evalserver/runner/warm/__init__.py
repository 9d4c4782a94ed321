"""Warm starts: a *warm parent* has imported a harness, and forks to start an attempt.

It is a process for each combination of what a harness depends on when it is imported. The server
starts it (``command.py``), and talks to it through a socket that nobody else has
(``protocol.py``). What a warm start runs is what a cold start would run at that moment: the parent
refuses when anything that it imported has changed (``fingerprint.py``), and the server then starts
the attempt cold.
"""
