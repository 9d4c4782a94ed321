"""Which GPUs are held, and by whom: written with the claim of a job.

The GPU is the table's primary key, and a trigger releases it when the job stops running: no care
elsewhere is needed for a GPU to be held by one holder at most.
"""

from collections.abc import Sequence

from evalserver.store.errors import IllegalTransition
from evalserver.store.transaction import Transaction


def hold(tx: Transaction, gpus: Sequence[str], job_id: str, at: str) -> None:
    """Let a job hold GPUs. Raises IllegalTransition if one of them is held or quarantined."""
    for gpu in gpus:
        rows = tx.execute(
            "SELECT holder_kind, holder_id FROM gpu_holds WHERE gpu = :gpu", {"gpu": gpu}
        )
        if rows:
            holder = f"{rows[0]['holder_kind']} {rows[0]['holder_id']}"
            raise IllegalTransition(f"GPU {gpu} is held by {holder}")
        if tx.execute("SELECT 1 FROM gpu_quarantines WHERE gpu = :gpu", {"gpu": gpu}):
            raise IllegalTransition(f"GPU {gpu} is quarantined")
        tx.execute(
            "INSERT INTO gpu_holds (gpu, holder_kind, holder_id, since)"
            " VALUES (:gpu, 'job', :job_id, :at)",
            {"gpu": gpu, "job_id": job_id, "at": at},
        )
