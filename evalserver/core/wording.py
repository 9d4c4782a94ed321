"""Words that messages of several parts share."""


def count_of_jobs(count: int) -> str:
    """Return the number with its noun: 1 job, 2 jobs."""
    return "1 job" if count == 1 else f"{count} jobs"


def count_of_messages(count: int) -> str:
    """Return the number with its noun and verb: 1 message is, 2 messages are."""
    return "1 message is" if count == 1 else f"{count} messages are"
