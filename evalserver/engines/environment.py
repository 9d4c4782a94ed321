"""The environment of a harness: the variables of the server's that harnesses are known to read, and
those that the operator names. All others may be secret."""

import re
from collections.abc import Iterable, Mapping

LAUNCHER_PREFIXES = (
    "SLURM_", "PMIX_", "PMI_", "OMPI_", "MV2_", "TORCHELASTIC_", "ACCELERATE_",
)  # fmt: skip
LAUNCHER_VARIABLES = frozenset(
    {
        "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE",
        "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
        "MPI_LOCALRANKID", "MPI_LOCALNRANKS",
    }
)  # fmt: skip
"""Set by srun, mpirun, torchrun and accelerate. A harness that finds them takes itself for one rank
of a distributed job that does not exist, and waits for the others or fails."""

SYSTEMD_PREFIXES = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
"""systemd's variables for the server: the harness must not notify in its name or take its
sockets."""

OWN_PREFIX = "EVALSERVER_"

EXCLUDED_PREFIXES = (*LAUNCHER_PREFIXES, *SYSTEMD_PREFIXES, OWN_PREFIX)


ALLOWED_VARIABLES = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|HOSTNAME|LANG|LANGUAGE|TZ|TERM|TMP|TEMP|TMPDIR|EDITOR"
    r"|LD_LIBRARY_PATH|LD_PRELOAD|VIRTUAL_ENV|JAVA_HOME|CC|CXX|MPLCONFIGDIR"
    r"|(?:LC|XDG|CONDA|PYTHON|UV)_?[A-Z0-9_]*"
    # The machine: accelerators, threads, networks.
    r"|(?:CUDA|CUBLAS|CUDNN|NVIDIA|NVTE|NCCL|GPU|ROCR|ROCM|HIP|HSA|AMD|MIOPEN|ASCEND|NPU"
    r"|XLA|TPU)[A-Z0-9_]*"
    r"|(?:OMP|MKL|OPENBLAS|NUMEXPR|GLOO|UCX|FI|IBV|MALLOC|TRITON|TORCH|PYTORCH|TF|JAX"
    r"|KMP)_[A-Z0-9_]*"
    r"|(?i:(?:https?|all|no|ftp)_proxy)|SSL_CERT_FILE|SSL_CERT_DIR"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    # The harnesses and what they load, their keys for hubs and judges included.
    r"|(?:HF|HUGGINGFACE|HUGGING_FACE|TRANSFORMERS|DATASETS|TOKENIZERS|DIFFUSERS|ACCELERATE"
    r"|TQDM|LOGURU|NLTK|TIKTOKEN|DECORD|OPENCV|FLASH_ATTENTION|XFORMERS|BNB|DS|DEEPSPEED"
    r"|VLLM|SGLANG|SGL|RAY|LMMS|LMMS_EVAL|LM_EVAL|LMEVAL|LM_HARNESS|WANDB|API_TYPE|MODEL_VERSION"
    r"|INSPECT|OPENAI|AZURE_OPENAI|ANTHROPIC|GOOGLE_API|GEMINI|DASHSCOPE|REKA|TEXTSYNTH|WATSONX)"
    r"(?:_[A-Z0-9_]*)?"
)
"""The names of variables that are passed on, unless they are excluded."""

BAR_SECONDS = "2"
"""Between two states of a progress bar: at most some 4 MB of log per day, where tqdm's own default
of a tenth of a second makes 80."""


def harness_environment(
    environment: Mapping[str, str], named: Iterable[str] = ()
) -> dict[str, str]:
    """Return the environment of a harness that a server with this environment starts.

    ``named`` are the operator's additions: ``NAME`` (passed on if set), or ``NAME=VALUE``.
    """
    kept = {name: value for name, value in environment.items() if _is_passed_on(name)}
    for each in named:
        name, given, value = each.partition("=")
        if name.startswith(OWN_PREFIX):
            continue
        if given or name in environment:
            kept[name] = value if given else environment[name]
    # Unbuffered, or a harness's output would reach the log minutes late.
    return {"TQDM_MININTERVAL": BAR_SECONDS, **kept, "PYTHONUNBUFFERED": "1"}


def _is_passed_on(name: str) -> bool:
    if name.startswith(EXCLUDED_PREFIXES) or name in LAUNCHER_VARIABLES:
        return False
    return ALLOWED_VARIABLES.fullmatch(name) is not None
