"""Tests of why a job failed."""
