"""Tests of what speaks to Slurm, with a real one."""
