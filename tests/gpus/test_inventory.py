"""Resolving ``--gpus``."""

import subprocess
import sys

import pytest

from evalserver.gpus.inventory import Gpu, GpusUnavailable, find_gpus
from tests.stub_nvml import DRIVER_NOT_LOADED, GPU_IS_LOST, StubNvml

NAME = "NVIDIA Stub 80GB"
FIRST, SECOND = Gpu("GPU-00000000", 0, NAME), Gpu("GPU-00000001", 1, NAME)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("none", ()),
        ("auto", (FIRST, SECOND)),
        ("1,0", (SECOND, FIRST)),
        ("GPU-00000001", (SECOND,)),
    ],
)
def test_gpus_are_known_by_their_uuids(
    nvml: StubNvml, setting: str, found: tuple[Gpu, ...]
) -> None:
    assert find_gpus(setting, {}) == found


@pytest.mark.parametrize("visible", ["1", "GPU-00000001"])
def test_auto_takes_only_what_the_server_was_given(nvml: StubNvml, visible: str) -> None:
    assert find_gpus("auto", {"CUDA_VISIBLE_DEVICES": visible}) == (SECOND,)


def test_auto_leaves_out_a_gpu_that_is_lost(nvml: StubNvml) -> None:
    nvml.change(0, fault=GPU_IS_LOST)

    assert find_gpus("auto", {}) == (SECOND,)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("0,7", "no GPU 7 .* There are: 0 .GPU-00000000., 1 .GPU-00000001."),
        ("0,GPU-00000000", "twice"),
        ("MIG-1", "MIG-1 cannot be used: Not Found"),
    ],
)
def test_a_list_that_does_not_fit_the_machine_is_refused(
    nvml: StubNvml, setting: str, message: str
) -> None:
    with pytest.raises(GpusUnavailable, match=message):
        find_gpus(setting, {})


def test_a_driver_that_does_not_work_is_not_taken_for_a_missing_one(nvml: StubNvml) -> None:
    nvml.init = DRIVER_NOT_LOADED
    nvml.write()

    with pytest.raises(GpusUnavailable, match=r"Driver Not Loaded.*nvidia-smi"):
        find_gpus("0,1", {})


WITHOUT_NVML = """
import ctypes, sys
def refuse(*args, **kwargs): raise OSError("no such library")
ctypes.CDLL = refuse
from evalserver.gpus.inventory import GpusUnavailable, find_gpus
try:
    print([(gpu.id, gpu.index) for gpu in find_gpus(sys.argv[1], {})])
except GpusUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("setting", "printed"),
    [("3,GPU-ab", "[('3', 3), ('GPU-ab', None)]"), ("auto", "Name the GPUs, such as --gpus 0,1")],
)
def test_without_nvml_a_list_is_taken_as_given(setting: str, printed: str) -> None:
    # In a process of its own, whether or not this machine has NVML.
    command = [sys.executable, "-c", WITHOUT_NVML, setting]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert printed in done.stdout
