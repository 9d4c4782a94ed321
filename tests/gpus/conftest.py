"""The stub of NVML for this process and for servers that tests start."""

import ctypes
from pathlib import Path

import pytest

from tests.stub_nvml import STATE_VARIABLE, StubNvml, build, compiler


@pytest.fixture(scope="session")
def stub_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library."""
    if compiler() is None:
        pytest.skip("NO COMPILER: install gcc or tcc to test with a stub of NVML")
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(stub_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubNvml:
    """Two GPUs, for this process: what has this name already is not loaded again."""
    ctypes.CDLL(str(stub_library), mode=ctypes.RTLD_GLOBAL)
    stub = StubNvml(stub_library, tmp_path / "nvml.txt", 2)
    monkeypatch.setenv(STATE_VARIABLE, str(stub.state))
    return stub
