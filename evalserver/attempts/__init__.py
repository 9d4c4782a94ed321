"""One attempt at a job, from its launch to its outcome."""
