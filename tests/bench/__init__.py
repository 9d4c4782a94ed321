"""Measuring the server: rates, delays and memory, beside lmms-eval's own or another server."""
