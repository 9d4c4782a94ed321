"""Leases: checkpoints that are kept until the jobs that need them have ended."""
