"""Reading GPUs through the real pynvml and a stub of NVIDIA's library."""

import pytest

from evalserver.gpus.nvml import GpuProcess, Nvml, NvmlError
from tests.stub_nvml import DRIVER_NOT_LOADED, GIB, GPU_IS_LOST, StubNvml


def test_a_reading_has_memory_activity_and_processes(nvml: StubNvml) -> None:
    nvml.change(1, used=3 * GIB, utilization=87, temperature=61, processes={4242: 2 * GIB})

    reading = Nvml().read(nvml.gpus[1].uuid)

    assert (reading.memory_total, reading.memory_used) == (80 * GIB, 3 * GIB)
    assert (reading.utilization, reading.temperature) == (87, 61)
    assert reading.processes == (GpuProcess(4242, 2 * GIB),)


def test_what_a_driver_does_not_support_is_unknown(nvml: StubNvml) -> None:
    nvml.is_old = True
    nvml.change(0, used=GIB, utilization=-1)

    reading = Nvml().read(nvml.gpus[0].uuid)

    assert (reading.memory_used, reading.utilization) == (GIB, None)


def test_all_devices_are_found_and_a_lost_one_says_so(nvml: StubNvml) -> None:
    nvml.change(1, fault=GPU_IS_LOST)

    whole, lost = Nvml().devices()

    assert (whole.index, whole.uuid, whole.fault) == (0, "GPU-00000000", None)
    assert (lost.index, lost.uuid, lost.fault) == (1, None, "GPU is lost")


def test_a_gpu_that_is_lost_later_can_be_read_once_it_is_back(nvml: StubNvml) -> None:
    library, uuid = Nvml(), nvml.gpus[0].uuid
    library.read(uuid)
    nvml.change(0, fault=GPU_IS_LOST)
    with pytest.raises(NvmlError, match="GPU is lost"):
        library.read(uuid)

    nvml.change(0, fault=0)
    assert library.read(uuid).memory_used == 0


def test_a_driver_that_does_not_work_is_an_error(nvml: StubNvml) -> None:
    nvml.init = DRIVER_NOT_LOADED
    nvml.write()

    with pytest.raises(NvmlError, match="Driver Not Loaded"):
        Nvml()
