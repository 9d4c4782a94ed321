"""Stands in for lmms-engine."""
