"""Watching jobs while they run: events, progress, logs, metrics of the server."""
