"""Words that messages of several parts share."""


def count_of_jobs(count: int) -> str:
    """Return the number with its noun: 1 job, 2 jobs."""
    return "1 job" if count == 1 else f"{count} jobs"
