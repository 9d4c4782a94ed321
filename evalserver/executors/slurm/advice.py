"""What to do about a cluster that does not run the hello job. Pure functions."""

from evalserver.core.diagnosis import Finding
from evalserver.executors.slurm.answers import SlurmJob
from evalserver.executors.slurm.endings import BY_SLURM, NOT_FOUND, node_of
from evalserver.executors.slurm.script import CANNOT_ENTER
from evalserver.executors.slurm.waiting import NO_REASON

LOWER_TIME = "lower time; sinfo -o '%P %l' lists the limits of partitions"
OTHER_ACCOUNT = "correct account; sacctmgr show associations user=$USER lists yours"
OTHER_QOS = "correct qos; sacctmgr show associations user=$USER format=account,qos lists yours"
OTHER_PARTITION = "name another partition, or ask the cluster's administrator to set it up"

REFUSALS = {
    "partition": "correct partition; sinfo -s lists the partitions, and which are up",
    "account": OTHER_ACCOUNT,
    "qos": OTHER_QOS,
    "feature": "correct constraint; sinfo -o '%P %f' lists the features of nodes",
    "generic resource": "correct gres; sinfo -o '%P %G' lists the GPUs of nodes, and '' asks for"
    " none",
    "memory specification": "lower mem; sinfo -o '%P %m' lists the MiB of nodes",
    "time limit": LOWER_TIME,
    "node configuration": "correct gres, cpus_per_gpu, mem and sbatch_args; sinfo -o"
    " '%P %G %c %m' lists the GPUs, CPUs and MiB of nodes, and gres = '' asks for no GPU",
}
"""What in Slurm's words for a refusal, in lower case, calls for what."""

HOPELESS = {
    "partitiontimelimit": LOWER_TIME,
    "partitiondown": OTHER_PARTITION,
    "partitioninactive": OTHER_PARTITION,
    "partitionnodelimit": "correct sbatch_args: the partition gives no such number of nodes",
    "badconstraints": "correct constraint, gres and sbatch_args",
    "invalidaccount": OTHER_ACCOUNT,
    "invalidqos": OTHER_QOS,
    "accountnotallowed": "correct account or partition: they do not go together",
    "qosnotallowed": "correct qos or partition: they do not go together",
    "jobheld": "remove what holds jobs from sbatch_args, or ask the cluster's administrator",
}
"""What in Slurm's reason for waiting, in lower case, calls for what: time alone does not help."""

UNAVAILABLE = ("down, drained", "reqnodenotavail")
"""In Slurm's reason if nodes lack, but also if they are only reserved for others."""
ASK = "see by sinfo -R why nodes are not up, and ask the cluster's administrator"
BUSY = "wait longer (--wait SECONDS), or look again when the cluster has room"


def explain_refusal(words: str) -> Finding:
    """Return the finding for a job that Slurm did not take."""
    advice = next((do for word, do in REFUSALS.items() if word in words.lower()), None)
    return Finding(f"Slurm refuses a job: {words}", advice or "correct the table")


def advice_if_hopeless(reason: str | None) -> str | None:
    """Return what to do about a job that Slurm will not start by itself; None if it may."""
    return next((do for word, do in HOPELESS.items() if word in (reason or "").lower()), None)


def explain_waiting(reason: str | None, waited_s: float) -> Finding:
    """Return the finding for a job that Slurm has not started."""
    words = f"its job still waits in Slurm after {waited_s:.0f} s: {reason or NO_REASON}"
    is_unavailable = any(word in (reason or "").lower() for word in UNAVAILABLE)
    return Finding(words, advice_if_hopeless(reason) or (ASK if is_unavailable else BUSY))


def explain_end(job: SlurmJob, python: str, directory: str, log: str | None) -> Finding:
    """Return the finding for a job that ended without a word in the shared directory.

    ``log`` is the last line of what it printed; None if no such file is seen here.
    """
    node = node_of(job)
    said = f": {log}" if log else ""
    if job.exit_code in NOT_FOUND:
        do = "set python to the path of a Python 3.9 or newer that every node has"
        return Finding(f"{node} cannot run {python}{said}", do)
    if job.state in BY_SLURM:
        return Finding(f"{BY_SLURM[job.state][0]}, on {node}", "look at Slurm's log of that node")
    how = ", ".join(filter(None, (job.state_text, job.reason)))
    if log is None or job.exit_code in (CANNOT_ENTER, 0):
        what = f"{node} does not share {directory} with this machine, or may not write there"
        return Finding(f"{what} (its job: {how})", advise_to_share(directory, job.node))
    return Finding(
        f"its job ended on {node} ({how}){said}",
        f"try it there by hand: {python} -I -S -c 'import json, socket'",
    )


def advise_to_share(directory: str, node: str | None) -> str:
    """Return what to do about a directory that a node does not see as this machine does."""
    where = f"srun -w {node}" if node else "srun"
    return (
        "set run_root to a directory that this machine and all nodes see under the same path, and"
        f" in which your user may write there, too; try {where} ls -ld {directory}"
    )
