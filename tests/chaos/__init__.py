"""Chaos tests: a real server under load and SIGKILL, and a check of every guarantee afterwards."""
