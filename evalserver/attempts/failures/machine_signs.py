"""Signs of what the machine lacks: memory, disk, GPUs, and other processes that answer."""

from evalserver.attempts.failures.sign import Sign

TORCH = "torch 2.13.0, "
VLLM = "vllm 0.11, vllm/"

MACHINE_SIGNS = (
    # Shared memory before the disk: both say that no space is left.
    Sign("shared_memory", "RuntimeError", r"shared memory\(shm\)"),
    Sign(
        "shared_memory",
        patterns=r"""
            (?i)insufficient shared memory
            (?i)out of shared memory
            (?i)shared memory segment /dev/shm
        """,
        source=TORCH + "torch/csrc/DataLoader.cpp; nccl 2.29.7, src/misc/shmutils.cc",
    ),
    Sign(
        "shared_memory",
        "FatalPythonError",
        "^Bus error",
        source="Python 3.11, Modules/faulthandler.c",
    ),
    Sign("disk_quota", patterns=r"\[Errno 122\]"),
    Sign(
        "disk_full",
        patterns=r"""
            \[Errno 28\]
            database or disk is full
            inline_container\.cc.{0,40}unexpected pos
        """,
    ),
    Sign("too_many_open_files", patterns=r"\[Errno 24\]"),
    Sign("gpu_out_of_memory", "OutOfMemoryError"),
    Sign(
        "gpu_out_of_memory",
        patterns=r"""
            CUDA out of memory
            CUDA error: out of memory
            HIP out of memory
            CUBLAS_STATUS_ALLOC_FAILED
        """,
        source=TORCH + "c10/cuda/CUDACachingAllocator.cpp, aten/src/ATen/cuda/CUDABlas.cpp",
    ),
    Sign(
        "gpu_out_of_memory",
        "ValueError RuntimeError",
        r"""
            No available memory for the cache blocks
            less than desired GPU memory utilization
            larger than the available KV cache memory
        """,
        "Or change gpu_memory_utilization or max_model_len in model_args.",
        VLLM + "v1/core/kv_cache_utils.py, v1/worker/utils.py",
    ),
    Sign("host_out_of_memory", "MemoryError _ArrayMemoryError"),
    Sign("host_out_of_memory", "RuntimeError", r"DefaultCPUAllocator: can't allocate memory"),
    Sign(
        "host_out_of_memory",
        "OSError",
        r"\[Errno 12\]",
        source="Python 3.11, os.strerror(errno.ENOMEM)",
    ),
    Sign(
        "host_out_of_memory",
        "ChildFailedError",
        r"exitcode *: -9\b",
        "A process of the harness got SIGKILL, most likely from the kernel for lack of memory.",
        TORCH + "torch/distributed/elastic/multiprocessing/errors/__init__.py",
    ),
    Sign(
        "host_out_of_memory",
        "RuntimeError BrokenProcessPool",
        r"""
            DataLoader worker \(pid.{0,60}\) is killed by signal: Killed
            process pool was terminated abruptly
        """,
        "A worker process was killed, most likely by the kernel for lack of memory.",
    ),
    Sign("port_in_use", patterns=r"EADDRINUSE|\[Errno 98\]"),
    Sign(
        "distributed_timeout",
        "DistNetworkError DistStoreError",
        r"client socket has timed out|waiting for clients",
    ),
    Sign(
        "distributed_timeout",
        patterns=r"""
            Watchdog caught collective operation timeout
            NCCL communicator was aborted
            Process group watchdog thread terminated
            Connection closed by peer
            wait timeout after
        """,
        source=TORCH + "torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp, TCPStore.cpp",
    ),
    Sign(
        "gpu_error",
        "DistBackendError RuntimeError",
        r"NCCL error in|ncclUnhandledCudaError|ncclSystemError|ncclInternalError",
        "NCCL failed between the GPUs; NCCL_DEBUG=INFO in the engine's environment says more.",
        TORCH + "torch/csrc/distributed/c10d/NCCLUtils.hpp",
    ),
    Sign("gpu_unavailable", "RuntimeError", "Found no NVIDIA driver"),
    Sign(
        "gpu_unavailable",
        patterns=r"""
            Torch not compiled with CUDA enabled
            No CUDA GPUs are available
            driver on your system is too old
            no kernel image is available
            invalid device ordinal
            CUDA driver version is insufficient
            Failed to infer device type
        """,
        source=TORCH
        + f"torch/cuda/__init__.py, c10/cuda/CUDAFunctions.cpp; {VLLM}config/device.py",
    ),
    Sign(
        "gpu_error",
        "AcceleratorError RuntimeError",
        r"CUDA error:|CUDNN_STATUS|CUBLAS_STATUS|cuDNN error|HIP error",
        source=TORCH + "c10/cuda/CUDAException.cpp",
    ),
)

WRAPPERS = (
    Sign("", "ChildFailedError CalledProcessError RetryError EngineDeadError BrokenPipeError"),
    Sign("", "EvaluationError"),
    Sign("", "RuntimeError", r"See root cause above|DataLoader worker .{0,80}exited unexpectedly"),
)
"""Exceptions that only report that something failed: its own exception is above them. The last is
of our launcher of Inspect."""
