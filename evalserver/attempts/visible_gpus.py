"""The variables by which an evaluation sees the GPUs that it holds, and no others."""

from collections.abc import Mapping, Sequence

NO_GPU = "-1"
"""An index that does not exist: nothing is visible. An empty value hides nothing from ROCm."""


def gpu_environment(gpus: Sequence[str] | None, *, is_nvidia: bool) -> Mapping[str, str]:
    """Return the variables for an attempt that holds these GPUs; none if they are not managed.

    Sources: CUDA C++ Programming Guide, "CUDA Environment Variables"; ROCm, "GPU isolation
    techniques". HIP counts within the GPUs that ROCR shows, so its list starts at 0.
    """
    if gpus is None:
        return {}
    held = ",".join(gpus) or NO_GPU
    cuda = {"CUDA_VISIBLE_DEVICES": held, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if is_nvidia:
        return cuda
    of_rocr = ",".join(map(str, range(len(gpus)))) or NO_GPU
    return {**cuda, "ROCR_VISIBLE_DEVICES": held, "HIP_VISIBLE_DEVICES": of_rocr}
