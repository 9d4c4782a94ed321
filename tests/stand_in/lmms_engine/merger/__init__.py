"""Stands in for its merger."""
