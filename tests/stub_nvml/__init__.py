"""A stub of NVIDIA's library: compiled when a test asks for it, its state written by the test."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

SOURCE = Path(__file__).parent / "nvml.c"
LIBRARY = "libnvidia-ml.so.1"
STATE_VARIABLE = "STUB_NVML_STATE"

UNPACKED_TCC = Path(__file__).parents[2] / ".venvs" / "tcc"
"""Where ``scripts/test`` unpacks Debian's tcc on a machine without a compiler."""

GIB = 1024**3
GPU_IS_LOST = 15
DRIVER_NOT_LOADED = 9


def compiler() -> list[str] | None:
    """Return the beginning of a compiler's command line; None if there is no compiler."""
    for name in ("cc", "gcc", "clang", "tcc"):
        if found := shutil.which(name):
            return [found]
    tcc = UNPACKED_TCC / "usr/bin/tcc"
    if not tcc.exists():
        return None
    [runtime] = UNPACKED_TCC.glob("usr/lib/*/tcc")
    return [str(tcc), f"-B{runtime}"]


def build(folder: Path) -> Path:
    """Compile the library into a folder, and return its path."""
    library = folder / LIBRARY
    command = compiler()
    assert command is not None, "no compiler: install gcc or tcc"
    # Without the C library's development files; its functions are found in the process.
    options = ["-shared", "-fPIC", "-w", "-nostdlib", f"-Wl,-soname={LIBRARY}"]
    subprocess.run([*command, *options, "-o", library, SOURCE], check=True, capture_output=True)
    return library


@dataclass(frozen=True)
class StubGpu:
    """One GPU of the stub; ``processes`` maps pids to the memory that they use."""

    uuid: str
    name: str = "NVIDIA Stub 80GB"
    total: int = 80 * GIB
    used: int = 0
    utilization: int = 0
    temperature: int = 40
    fault: int = 0
    delay_ms: int = 0
    processes: Mapping[int, int] = field(default_factory=dict)


class StubNvml:
    """The library's state, as a file that a test changes at any time."""

    def __init__(self, library: Path, state: Path, number: int) -> None:
        self.library = library
        self.state = state
        self.is_old = False
        self.init = 0
        self.gpus = [StubGpu(f"GPU-{index:08d}") for index in range(number)]
        self.write()

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which a new process loads this library."""
        return {"LD_LIBRARY_PATH": str(self.library.parent), STATE_VARIABLE: str(self.state)}

    def change(self, index: int, **fields: object) -> None:
        """Change fields of a GPU."""
        self.gpus[index] = replace(self.gpus[index], **fields)  # type: ignore[arg-type]
        self.write()

    def write(self) -> None:
        """Write the state, atomically."""
        lines = [f"init {self.init}", *(["old"] if self.is_old else [])]
        for index, gpu in enumerate(self.gpus):
            numbers = (gpu.fault, gpu.total, gpu.used, gpu.utilization, gpu.temperature)
            lines.append(f"gpu {' '.join(map(str, numbers))} {gpu.uuid} {gpu.name}")
            lines.append(f"delay {index} {gpu.delay_ms}")
            lines += [f"process {index} {pid} {used}" for pid, used in gpu.processes.items()]
        draft = self.state.with_suffix(".draft")
        draft.write_text("\n".join(lines) + "\n")
        os.replace(draft, self.state)  # noqa: PTH105
