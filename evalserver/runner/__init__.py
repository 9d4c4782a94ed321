"""The runner: the small process that supervises one attempt, and outlives the server.

Standard library only, and nothing else of evalserver: it starts in milliseconds, runs anywhere,
and goes on whatever becomes of the server.
"""
