"""The configuration files of a cluster, as text. Everything in them lies below one directory."""

from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class SlurmOptions:
    """What a cluster is like. CPUs, memory and GPUs of its nodes are claims, not the machine's."""

    nodes: int = 2
    cpus: int = 4
    gpus: int = 2
    memory_mb: int = 4000
    slurmd_timeout_s: int = 10
    """After it, a node that is silent is down, and its jobs are NODE_FAIL."""
    min_job_age_s: int = 300
    """How long squeue knows a job that has ended."""
    kill_wait_s: int = 2
    """Between TERM and KILL of a job's processes."""
    accounting: bool = False
    """Also slurmdbd, with a MariaDB of its own: sacct needs it."""


@dataclass(frozen=True)
class Layout:
    """The directory of a cluster, its names, and its ports of the loopback address."""

    directory: Path
    host: str
    nodes: tuple[str, ...]
    ctld_port: int
    slurmd_ports: tuple[int, ...]
    dbd_port: int

    @property
    def slurm_conf(self) -> Path:
        """The file that ``SLURM_CONF`` names; Slurm looks for its other files beside it."""
        return self.directory / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        """Where munged listens."""
        return self.directory / "munge" / "socket"

    @property
    def database_socket(self) -> Path:
        """Where MariaDB listens."""
        return self.directory / "mariadb" / "socket"

    @property
    def logs(self) -> Path:
        """One log for each daemon."""
        return self.directory / "log"


def has_cgroup_v1(controller: str) -> bool:
    """Return whether this process may create cgroups of a controller of version 1.

    Slurm finds every process of a job by its cgroup, whatever it forked. Version 2 needs systemd.
    """
    probe = CGROUPS / controller / "evalserver-probe"
    try:
        probe.mkdir(exist_ok=True)
        probe.rmdir()
    except OSError:
        return False
    return True


def slurm_conf(layout: Layout, options: SlurmOptions) -> str:
    """Return ``slurm.conf``."""
    has_freezer = has_cgroup_v1("freezer")
    lines = [
        "ClusterName=evalserver",
        f"SlurmctldHost={layout.host}(127.0.0.1)",
        f"SlurmctldPort={layout.ctld_port}",
        "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={layout.munge_socket}",
        f"StateSaveLocation={layout.directory}/state",
        f"SlurmdSpoolDir={layout.directory}/spool.%n",
        f"SlurmctldPidFile={layout.directory}/slurmctld.pid",
        f"SlurmdPidFile={layout.directory}/slurmd.%n.pid",
        f"SlurmctldLogFile={layout.logs}/slurmctld.log",
        f"SlurmdLogFile={layout.logs}/slurmd.%n.log",
        # linuxproc goes by parentage, and loses a process whose parent has ended.
        f"ProctrackType=proctrack/{'cgroup' if has_freezer else 'linuxproc'}",
        f"TaskPlugin=task/{'cgroup' if _limits_memory() else 'none'}",
        "MpiDefault=none",
        "MailProg=/bin/true",
        "SlurmdParameters=config_overrides",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "DefMemPerCPU=500",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0",
        "PriorityType=priority/basic",
        "ReturnToService=2",
        "SlurmctldTimeout=10",
        f"SlurmdTimeout={options.slurmd_timeout_s}",
        f"MinJobAge={options.min_job_age_s}",
        f"KillWait={options.kill_wait_s}",
        "OverTimeLimit=0",
        "JobRequeue=1",
        *_accounting_lines(layout, options),
        *(["GresTypes=gpu"] if options.gpus else []),
        f"NodeName=DEFAULT CPUs={options.cpus} Boards=1 SocketsPerBoard=1"
        f" CoresPerSocket={options.cpus} ThreadsPerCore=1 RealMemory={options.memory_mb}"
        + (f" Gres=gpu:{options.gpus}" if options.gpus else ""),
        *(
            f"NodeName={node} NodeHostname={layout.host} NodeAddr=127.0.0.1 Port={port}"
            for node, port in zip(layout.nodes, layout.slurmd_ports, strict=True)
        ),
        "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
        "PartitionName=short Nodes=ALL MaxTime=1 State=UP",
    ]
    return "\n".join(lines) + "\n"


def cgroup_conf() -> str:
    """Return ``cgroup.conf``."""
    return (
        "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nIgnoreSystemd=yes\n"
        "ConstrainCores=no\nConstrainDevices=no\nConstrainSwapSpace=no\n"
        f"ConstrainRAMSpace={'yes' if _limits_memory() else 'no'}\n"
    )


def gres_conf(devices: list[Path]) -> str:
    """Return ``gres.conf``: one GPU for each of these files."""
    return "".join(f"Name=gpu File={device}\n" for device in devices)


def slurmdbd_conf(layout: Layout) -> str:
    """Return ``slurmdbd.conf``."""
    return (
        "AuthType=auth/munge\n"
        f"AuthInfo=socket={layout.munge_socket}\n"
        "CommunicationParameters=NoInAddrAny\n"
        "DbdHost=localhost\nDbdAddr=127.0.0.1\n"
        f"DbdPort={layout.dbd_port}\n"
        "SlurmUser=root\n"
        f"LogFile={layout.logs}/slurmdbd.log\n"
        f"PidFile={layout.directory}/slurmdbd.pid\n"
        "StorageType=accounting_storage/mysql\n"
        "StorageHost=localhost\nStorageUser=root\nStorageLoc=slurm\n"
        "CommitDelay=1\n"
    )


def _accounting_lines(layout: Layout, options: SlurmOptions) -> list[str]:
    if not options.accounting:
        return ["AccountingStorageType=accounting_storage/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=localhost",
        f"AccountingStoragePort={layout.dbd_port}",
        # To slurmdbd, the "password" is the socket of munged.
        f"AccountingStoragePass={layout.munge_socket}",
        "AccountingStorageTRES=gres/gpu",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=5",
    ]


def _limits_memory() -> bool:
    """Return whether a job that uses too much memory can end OUT_OF_MEMORY here."""
    return has_cgroup_v1("freezer") and has_cgroup_v1("memory")
