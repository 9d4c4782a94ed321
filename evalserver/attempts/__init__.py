"""One attempt at a job, from its launch to its outcome, and how long finished jobs are kept."""
