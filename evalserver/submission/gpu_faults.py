"""What a request asks of GPUs that the server cannot give."""

import re

from evalserver.core.request import EvaluateRequest

INDEXED_DEVICE = re.compile(r"(?:cuda|hip):(\d+)")
ANY_GPU = re.compile(r"(?:cuda|hip)(?::\d+)?")


def gpu_faults(request: EvaluateRequest, managed: int) -> dict[str, str]:
    """Return the fields that name GPUs which the evaluation would not have, with a sentence each.

    ``managed`` is the number of GPUs that the server manages; with 0, an evaluation sees all.
    """
    if managed == 0:
        return {}
    faults = {}
    number = request.num_gpus
    most = max(1, number)
    if request.num_processes is not None and request.num_processes > most:
        faults["num_processes"] = (
            f"Must be at most {most}: num_gpus is {number}, and two processes cannot share a GPU."
        )
    if number > managed:
        faults["num_gpus"] = f"This server manages {managed} GPU{'' if managed == 1 else 's'}."
    device = request.device or ""
    indexed = INDEXED_DEVICE.fullmatch(device)
    if number == 0 and ANY_GPU.fullmatch(device):
        faults["device"] = "The evaluation has no GPU: raise num_gpus, or use cpu."
    elif indexed and int(indexed[1]) >= number:
        held = f"cuda:0 to cuda:{number - 1}" if number > 1 else "cuda:0"
        faults["device"] = f"The evaluation sees only the GPUs that it holds: {held}."
    return faults
