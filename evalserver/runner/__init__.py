"""The runner: the small process that supervises one attempt, and outlives the server.

It uses the standard library only, and nothing else of evalserver: it starts in milliseconds, runs
with any Python, and continues when the server ends or is upgraded.
"""
