"""Monitoring jobs while they run: event bus, progress, logs, and Prometheus metrics."""
