"""The variables that harnesses, their judges and their model providers read, in one table.

The filter of a harness's environment (``environment.py``), the output of ``evalserver doctor`` and
the table in ``docs/configuration.md`` are made from it. A test reads the sources of the installed
harnesses and fails for a variable that is missing here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from evalserver.core.masking import is_secret_name

LMMS_EVAL, LM_EVAL, INSPECT = "lmms_eval", "lm_eval", "inspect"
LITELLM_READERS = frozenset({LMMS_EVAL, LM_EVAL})


@dataclass(frozen=True)
class Variables:
    """The variables that one program or group of programs reads.

    ``names`` may begin or end with ``*``. ``secrets`` are those whose value is a secret although
    their name does not say so; the others are recognized by name. ``engines`` are the types of
    engines whose harness reads them; empty for all. Results may depend on those that are
    ``recorded``.
    """

    read_by: str
    names: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    engines: frozenset[str] = frozenset()
    recorded: bool = True

    def includes(self, name: str) -> bool:
        """Whether this is one of the variables."""
        # Every variable of an environment is looked up in every row whenever a job starts and ends.
        is_whole = name in self.names
        return is_whole or name.startswith(self._beginnings) or name.endswith(self._ends)

    @cached_property
    def _beginnings(self) -> tuple[str, ...]:
        return tuple(each.removesuffix("*") for each in self.names if each.endswith("*"))

    @cached_property
    def _ends(self) -> tuple[str, ...]:
        return tuple(each.removeprefix("*") for each in self.names if each.startswith("*"))

    def is_read_by(self, engine_type: str) -> bool:
        """Whether the harness of an engine of this type may read them."""
        known = {LMMS_EVAL, LM_EVAL, INSPECT}
        return not self.engines or engine_type in self.engines or engine_type not in known


def _variables(
    read_by: str, names: str, *engines: str, secrets: str = "", recorded: bool = True
) -> Variables:
    hidden = tuple(secrets.split())
    return Variables(
        read_by, (*names.split(), *hidden), hidden, frozenset(engines), recorded=recorded
    )


VARIABLES = (
    _variables(
        "programs in general",
        "PATH HOME USER USERNAME LOGNAME SHELL HOSTNAME LANG LANGUAGE LC_* TZ TERM EDITOR TMP TEMP"
        " TMPDIR XDG_* LD_LIBRARY_PATH LD_PRELOAD JAVA_HOME CC CXX MPLCONFIGDIR MAGICK_TMPDIR",
        recorded=False,
    ),
    _variables(
        "HTTP clients",
        "http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY"
        " ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR SSL_VERIFY REQUESTS_CA_BUNDLE"
        " CURL_CA_BUNDLE TCP_KEEP* NETRC",
        recorded=False,
    ),
    _variables("Python and its environments", "PYTHON* VIRTUAL_ENV CONDA* UV_*"),
    _variables(
        "accelerators, threads and networks",
        "CUDA* CUBLAS* CUDNN* NVIDIA_* NVTE_* NCCL_* GPU_* ROCR_* ROCM_* HIP_* HSA_* AMD_* MIOPEN_*"
        " ASCEND_* NPU_* HCCL_* XLA_* TPU_* PT_HPU_* PJRT_DEVICE OMP_* KMP_* MKL_* OPENBLAS_*"
        " NUMEXPR_* GLOO_* UCX_* FI_* IBV_* MALLOC_* TRITON_* TORCH_* TORCHDYNAMO_* PYTORCH_* TF_*"
        " JAX_* USE_TORCH USE_TF USE_JAX",
    ),
    _variables(
        "Hugging Face's libraries",
        "HF_* HUGGINGFACE_* HUGGING_FACE_* TRANSFORMERS_* DATASETS_* TOKENIZERS_* DIFFUSERS_*"
        " EVALUATE_*",
    ),
    _variables(
        "libraries of models, media and logging",
        "VLLM_* SGLANG_* SGL_* RAY_* DS_* DEEPSPEED_* FLASH_ATTENTION_* XFORMERS_* BNB_* DECORD_*"
        " OPENCV_* NLTK_* TIKTOKEN_* TQDM_* LOGURU_* WANDB_* SWANLAB_* MEGATRON_PATH",
    ),
    _variables("lmms-eval", "LMMS_* LM_HARNESS_* VERBOSITY USE_LLM_JUDGE", LMMS_EVAL),
    _variables("lm-eval", "LM_EVAL_* LMEVAL_* LM_HARNESS_* DISABLE_MULTIPROC", LM_EVAL),
    _variables("Inspect", "INSPECT_* SCOUT_* DOCKER_* RESTIC_*", INSPECT),
    _variables(
        "judges of lmms-eval and lm-eval",
        "API_TYPE API_VERSION API_KEY MODEL_VERSION MODEL_NAME DEPLOYMENT_NAME ENDPOINT_URL"
        " AZURE_ENDPOINT GPT_EVAL_* EVAL_MODEL_NAME JUDGE_* LLM_JUDGE_* OPENAI_JUDGE_MODEL"
        " QWEN_API_URL TRAPI_* HOST PORT TIMEOUT VERBOSE WORKERS PROCESSOR",
        LMMS_EVAL,
        LM_EVAL,
        secrets="Deepseek_API",
    ),
    _variables(
        "judges of single tasks of lmms-eval",
        "BABYVISION_* CAPTIONQA_* IMGEDIT_* KRIS_BENCH_* MEGABENCH_* MULTI_CRIT_* STRUCTEDITBENCH_*"
        " VIESCORE_* WISE_*",
        LMMS_EVAL,
    ),
    _variables(
        "data of single tasks of lmms-eval",
        "*_DATA_ROOT *_DATA_DIR *_BASE_DIR *_VIDEO_DIR *_VIDEO_ROOT *_IMAGE_DIR *_IMAGE_ROOT"
        " *_MEDIA_ROOT *_PREEXTRACTED_DIR AUDIO_PATH AV_SPEAKERBENCH_* CGAV_COUNTING_* CROSSPOINT_*"
        " EGOTEMPO_* EWB_* HD_EPIC_* KALEIDOSCOPE_* MOTIONBENCH_* PHYSICAL_CONFLICT_* PHYSICS_IQ_*"
        " SPATIAL_DISE_* VBVR_* VRBENCH_* VSTAT_* XMODBENCH PROMPTSTEP PROMPTTOKEN PROMPTLONG"
        " PROMPTSHORT",
        LMMS_EVAL,
        secrets="SOCCERNET_PWD",
    ),
    _variables(
        "single models of lmms-eval",
        "COSMOS3_* FASTVIDEO_* ONLINE_CODEC_* NUM_IMAGE NUM_SECONDS_TO_SLEEP PAD_DURATION PAD_HQ"
        " PAD2STRIDE MINRES MAXRES LOWRES_RESIZE HIGHRES_BASE VIDEO_RESIZE VIDEO_MINRES"
        " VIDEO_MAXRES LOAD_VISION_EARLY FORCE_NO_DOWNSAMPLE USE_SPEECH FAL_KEY FAL_API_KEY REKA_*",
        LMMS_EVAL,
    ),
    _variables("tasks of lm-eval", "JSONSCHEMA_BENCH_* COUNTRY REGION ARABIC", LM_EVAL),
    _variables("tasks that measure toxicity", "PERSPECTIVE_*", LMMS_EVAL, LM_EVAL),
    _variables("OpenAI's client", "OPENAI_*", secrets="OPENAI_CUSTOM_HEADERS"),
    _variables("Anthropic's client", "ANTHROPIC_*", secrets="ANTHROPIC_CUSTOM_HEADERS"),
    _variables(
        "Azure's clients",
        "AZURE_* AZUREAI_* IDENTITY_ENDPOINT IMDS_ENDPOINT MSI_ENDPOINT MSI_SECRET",
        secrets="AZURE_STORAGE_CONNECTION_STRING IDENTITY_HEADER",
    ),
    _variables("AWS's clients", "AWS_* BEDROCK_* BOTO_* S3FS_*"),
    _variables(
        "Google's clients",
        "GOOGLE_* GEMINI_* VERTEX_* VERTEXAI_* GCLOUD_PROJECT CLOUD_ML_REGION GCE_METADATA_*",
    ),
    _variables("Alibaba's client", "DASHSCOPE_*"),
    _variables("IBM's client", "WATSONX_* WX_* WML_URL"),
    _variables(
        "other model services",
        "CLOUDFLARE_* CODESTRAL_* COHERE_* CO_API_* DEEPSEEK_* FIREWORKS_* GROK_* GROQ_* LITELLM_*"
        " LLAMA_CPP_PYTHON_* META_* MISTRAL_* MODEL_API_KEY MOONSHOT_* OLLAMA_* OPENROUTER_*"
        " PERPLEXITY_* SAMBANOVA_* TOGETHER_* XAI_*",
        secrets="GROQ_CUSTOM_HEADERS",
    ),
    _variables("tools of Inspect's tasks", "EXA_API_KEY TAVILY_API_KEY", INSPECT),
    _variables("text synthesis", "TEXTSYNTH_*", LM_EVAL),
    _variables(
        "LiteLLM's model services",
        "AI21_* AIML_API_* ALEPH_ALPHA_* ALEPHALPHA_* ANYSCALE_* ARK_API_* BASETEN_* CEREBRAS_*"
        " CLARIFAI_* DATABRICKS_* DATAROBOT_* DEEPINFRA_* FEATHERLESS_* FIREWORKSAI_* FRIENDLI_*"
        " FRIENDLIAI_* GIGACHAT_* GITHUB_API_KEY GITHUB_API_BASE GRADIENT_AI_* HEROKU_API_*"
        " HOSTED_VLLM_* HYPERBOLIC_* LAMBDA_API_* LLAMA_API_* LLAMAFILE_* LM_STUDIO_* MARITALK_*"
        " MINIMAX_* MODELSCOPE_* NEBIUS_* NLP_CLOUD_* NOVITA_* NSCALE_* OCI_* OR_API_KEY"
        " OR_SITE_URL OVHCLOUD_* PALM_API_KEY PERPLEXITYAI_* POE_API_KEY PREDIBASE_* REPLICATE_*"
        " SCW_SECRET_KEY TENCENT_* TOGETHERAI_* V0_API_* VERCEL_AI_GATEWAY_*"
        " VOLCENGINE_* XINFERENCE_* ZAI_*",
        *LITELLM_READERS,
    ),
)
"""Launchers' variables and others that ``environment.py`` excludes are not passed, whatever is
here."""


def find_variables(name: str) -> Iterator[Variables]:
    """Yield the rows with this variable."""
    return (each for each in VARIABLES if each.includes(name))


def is_secret_variable(name: str) -> bool:
    """Whether the value of a variable is a secret."""
    return is_secret_name(name) or any(name in each.secrets for each in VARIABLES)


def is_recorded(name: str) -> bool:
    """Whether results may depend on a variable."""
    return any(each.recorded for each in find_variables(name))
