"""Submission: a checked request becomes a job. Knows no HTTP; what is wrong is returned."""
