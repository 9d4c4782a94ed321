"""Tests of ``evalserver follow``."""
