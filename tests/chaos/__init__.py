"""Chaos: a real server under clients and SIGKILL, and a check of every promise afterwards."""
