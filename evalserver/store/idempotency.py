"""Submissions with an idempotency key: executed once, and answered the same however often sent.

Keys are kept forever, including those of pruned jobs: a late retry of a submission does not
evaluate again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evalserver.core.job import NewJob
from evalserver.store.errors import KeyReused
from evalserver.store.queued_series import Queued, require_freed
from evalserver.store.readers import Readers
from evalserver.store.submission import submit_batch
from evalserver.store.transaction import Row, Transaction


@dataclass(frozen=True)
class Key:
    """The key of a submission, which belongs to its submitter, and a hash of the request."""

    key: str
    submitted_by: str
    body_hash: str


@dataclass(frozen=True)
class Answered:
    """The answer to a submission, and whether it was given before."""

    answer: str
    again: bool


def submit_once(
    tx: Transaction,
    job: NewJob,
    key: Key,
    at: str,
    answer: Callable[[int], str],
    must_free: Queued,
) -> Answered:
    """Put a new job into the queue, if its key was not used, and keep the answer with the key.

    ``answer`` makes it from the job's position in the queue. Raises KeyReused when the key was
    used for something else, and QueueFull if it supersedes less than ``must_free``.
    """
    earlier = _find_answer(tx, key)
    if earlier is not None:
        return earlier
    require_freed(submit_batch(tx, [job], at), must_free)
    text = answer(_position_of_last(tx, job.request.priority))
    _keep(tx, job, key, at, text)
    return Answered(text, again=False)


def submit_batch_once(
    tx: Transaction, jobs: Sequence[NewJob], key: Key, at: str, answer: str, must_free: Queued
) -> Answered:
    """Put new jobs into the queue, if their key was not used, and keep the answer with the key.

    The key is kept with the first of them. Raises KeyReused when it was used for something else,
    and QueueFull if they supersede less than ``must_free``.
    """
    earlier = _find_answer(tx, key)
    if earlier is not None:
        return earlier
    require_freed(submit_batch(tx, jobs, at), must_free)
    _keep(tx, jobs[0], key, at, answer)
    return Answered(answer, again=False)


async def was_answered(readers: Readers, key: Key) -> bool:
    """Whether a submission with this key was accepted."""
    rows = await readers.fetch(
        "SELECT 1 FROM idempotency_keys WHERE submitted_by = :submitted_by AND key = :key",
        {"submitted_by": key.submitted_by, "key": key.key},
    )
    return bool(rows)


def _find_answer(tx: Transaction, key: Key) -> Answered | None:
    """The answer that was kept with the key. Raises KeyReused."""
    earlier = _find(tx, key)
    if earlier is None:
        return None
    if earlier["body_hash"] != key.body_hash:
        raise KeyReused(
            f"The idempotency key was used at {earlier['created_at']} for another request (job"
            f" {earlier['job_id']}); send a request that differs with a key of its own"
        )
    return Answered(earlier["answer"], again=True)


def _find(tx: Transaction, key: Key) -> Row | None:
    rows = tx.execute(
        "SELECT body_hash, job_id, answer, created_at FROM idempotency_keys"
        " WHERE submitted_by = :submitted_by AND key = :key",
        {"submitted_by": key.submitted_by, "key": key.key},
    )
    return rows[0] if rows else None


def _position_of_last(tx: Transaction, priority: int) -> int:
    """How many queued jobs are ahead of the newest one, which is the last of its priority.

    The jobs behind it are counted, since there are usually none.
    """
    rows = tx.execute(
        """
        SELECT jobs - 1 - (SELECT count(*) FROM jobs
                           WHERE status = 'queued' AND priority < :priority) AS position
        FROM job_counts WHERE status = 'queued'
        """,
        {"priority": priority},
    )
    return int(rows[0]["position"])


def _keep(tx: Transaction, job: NewJob, key: Key, at: str, answer: str) -> None:
    tx.execute(
        """
        INSERT INTO idempotency_keys (key, submitted_by, body_hash, job_id, answer, created_at)
        VALUES (:key, :submitted_by, :body_hash, :job_id, :answer, :created_at)
        """,
        {
            "key": key.key,
            "submitted_by": key.submitted_by,
            "body_hash": key.body_hash,
            "job_id": job.job_id,
            "answer": answer,
            "created_at": at,
        },
    )
