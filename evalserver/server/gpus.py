"""The parts of the application that manage GPUs: found, read, guarded, and placed on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from aiohttp import web

from evalserver.core.supervision import supervised
from evalserver.gpus.guard import GpuGuard
from evalserver.gpus.inventory import Gpu, GpusUnavailable, find_gpus, warn_of_unmanaged_gpus
from evalserver.gpus.loads import GpuLoads
from evalserver.gpus.memory import MemoryLimits
from evalserver.gpus.monitor import GpuMonitor
from evalserver.scheduling.placement import Placement
from evalserver.scheduling.slots import Limits
from evalserver.server.cannot_start import CannotStart
from evalserver.server.places import runs_dir_of
from evalserver.settings.server_args import ServerArgs
from evalserver.store import StoreUnavailable
from evalserver.web.keys import ARGS, GPU_GUARD, GPU_MONITOR, GPUS, HEALTH, STORE

GPU_LOADS = web.AppKey("gpu_loads", GpuLoads)


def managed_gpus(setting: str) -> tuple[Gpu, ...]:
    """Return the GPUs of ``--gpus``. Raises CannotStart."""
    if setting == "none":
        warn_of_unmanaged_gpus()
    try:
        return find_gpus(setting)
    except GpusUnavailable as error:
        raise CannotStart(str(error)) from error


async def gpu_context(app: web.Application) -> AsyncIterator[None]:
    """Read and guard the GPUs while the application runs."""
    gpus, args = app[GPUS], app[ARGS]
    app[GPU_MONITOR] = monitor = GpuMonitor(gpus, health=app[HEALTH])
    limits = MemoryLimits(args.gpu_idle_memory)
    app[GPU_GUARD] = guard = GpuGuard(gpus, monitor, app[STORE], runs_dir_of(args), limits)
    app[GPU_LOADS] = GpuLoads(monitor, app[STORE])
    await monitor.start()
    with suppress(StoreUnavailable):  # the watch tries again
        await guard.check()
    works = {
        "the watch of the GPUs": guard.watch,
        "the watch of what jobs use of GPUs": app[GPU_LOADS].watch,
    }
    async with supervised(works, app[HEALTH]):
        yield
    monitor.close()


def make_placement(args: ServerArgs, gpus: Sequence[Gpu], guard: GpuGuard) -> Placement:
    """Return how jobs are placed on these GPUs."""
    names = {name: gpu.id for gpu in gpus for name in (gpu.id, str(gpu.index))}
    return Placement(
        Limits(
            tuple(gpu.id for gpu in gpus),
            args.max_running,
            args.max_running_without_gpu,
            args.max_running_per_token,
        ),
        backfill=args.backfill,
        grace_s=args.cancel_grace,
        gpu_ids={name: gpu for name, gpu in names.items() if name != "None"},
        unavailable=guard.check,
    )
