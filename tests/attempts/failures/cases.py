"""Programs that raise the errors of real packages, in the environments of the real harnesses."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from evalserver.engines.inspect_ai import LAUNCHER
from tests.real_harness import VENVS, interpreter

TASKS = Path(__file__).parent / "tasks"
LIMIT_S = 600


@dataclass(frozen=True)
class Case:
    """A program in the environment of a harness, and the code of the failure that it shows.

    In ``program``, ``arguments`` and ``env``, ``{url}`` is the loopback server and ``{dir}`` an
    empty directory. ``is_cheap``: it takes little time, and is run again by the tests.
    """

    code: str
    harness: str
    program: str = ""
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    is_cheap: bool = False
    with_small_shm: bool = False
    on_small_disk: bool = False


DOWNLOAD = "from huggingface_hub import hf_hub_download as get; get('lab/x', 'config.json'{more})"
CONFIG = "from transformers import AutoConfig; AutoConfig.from_pretrained('lab/x')"
DATASET = "from datasets import load_dataset; load_dataset('lab/x')"
CHECKPOINT = """
import json
with open('{dir}/config.json', 'w') as file:
    json.dump(%s, file)
import transformers
transformers.%s.from_pretrained('{dir}')
"""
ASK = """
import openai
client = openai.OpenAI(api_key='x', base_url='%s/v1', max_retries=0)
client.chat.completions.create(model='m', messages=[dict(role='user', content='a')])
"""
WORKER = """
import os, signal, torch
class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        %s
list(torch.utils.data.DataLoader(Data(), num_workers=1))
"""


def _hub(name: str) -> dict[str, str]:
    return {"HF_ENDPOINT": f"{{url}}/hub/{name}"}


def _wanted(model: str, task: str) -> tuple[str, ...]:
    return ("--model", model, "--tasks", task, "--include_path", str(TASKS / "lm_eval"))


def _lm_eval(model: str, task: str, *more: str) -> tuple[str, ...]:
    return ("-m", "lm_eval", "run", *_wanted(model, task), "--output_path", "{dir}", *more)


def _inspect(code: str, model: str, task: str, provider: str | None = None) -> Case:
    """Our launcher of Inspect with a task of the lab."""
    place = {} if provider is None else {"base_url": f"{{url}}/provider/{provider}/v1"}
    config = {
        "model": model,
        "tasks": [task],
        "include_path": str(TASKS / "inspect"),
        "model_args": {**place, "api_key": "x"} if place else {},
        "generate": {"max_retries": 0},
        "limit": 1,
        "seed": None,
        "max_connections": None,
        "log_samples": True,
        "cache_dir": None,
        "output_dir": "{dir}",
    }
    text = repr(config).replace("{", "{{").replace("}", "}}")
    text = text.replace("{{dir}}", "{dir}").replace("{{url}}", "{url}")
    program = (
        f"import json, runpy, sys\nwith open('{{dir}}/c.json', 'w') as file:\n"
        f"    json.dump({text}, file)\n"
        f"sys.argv = ['x', '--config={{dir}}/c.json']\n"
        f"runpy.run_path({str(LAUNCHER)!r}, run_name='__main__')"
    )
    return Case(code, "inspect", program)


CASES = {
    "hub-gated": Case("hub_gated", "lm-eval", DOWNLOAD, env=_hub("gated"), is_cheap=True),
    "hub-gated-transformers": Case("hub_gated", "lmms-eval", CONFIG, env=_hub("gated-login")),
    "hub-gated-datasets": Case("hub_gated", "lm-eval", DATASET, env=_hub("gated-login")),
    "hub-missing": Case("hub_not_found", "lm-eval", DOWNLOAD, env=_hub("missing"), is_cheap=True),
    "hub-missing-transformers": Case(
        "hub_not_found", "lmms-eval", CONFIG, env=_hub("missing-login")
    ),
    "hub-missing-datasets": Case("hub_not_found", "lm-eval", DATASET, env=_hub("missing-login")),
    "hub-revision": Case("hub_not_found", "lm-eval", DOWNLOAD, env=_hub("revision")),
    "hub-entry": Case("hub_not_found", "lm-eval", DOWNLOAD, env=_hub("entry")),
    "hub-token": Case("hub_authentication", "lm-eval", DOWNLOAD, env=_hub("token")),
    "hub-busy": Case(
        "hub_rate_limit",
        "lm-eval",
        "from huggingface_hub import HfApi; HfApi().model_info('lab/x')",
        env=_hub("busy"),
    ),
    "hub-down": Case(
        "hub_unreachable",
        "lm-eval",
        "from huggingface_hub import HfApi; HfApi().model_info('lab/x')",
        env=_hub("down"),
    ),
    "hub-offline": Case(
        "hub_unreachable", "lm-eval", DOWNLOAD, env={"HF_HUB_OFFLINE": "1"}, is_cheap=True
    ),
    "hub-offline-transformers": Case(
        "hub_unreachable", "lmms-eval", CONFIG, env={"HF_HUB_OFFLINE": "1"}
    ),
    "hub-offline-datasets": Case(
        "hub_unreachable", "lm-eval", DATASET, env={"HF_HUB_OFFLINE": "1"}
    ),
    "hub-no-network": Case(
        "hub_unreachable", "lmms-eval", CONFIG, env={"HF_ENDPOINT": "http://127.0.0.1:9"}
    ),
    "dataset-script": Case(
        "dataset_script",
        "lm-eval",
        "import os; os.mkdir('{dir}/x'); open('{dir}/x/x.py', 'w').close()\n"
        "from datasets import load_dataset; load_dataset('{dir}/x')",
    ),
    "remote-code": Case(
        "code_not_confirmed",
        "lmms-eval",
        CHECKPOINT % ("{{'model_type': 'odd', 'auto_map': {{'AutoConfig': 'c.C'}}}}", "AutoConfig"),
    ),
    "gpu-memory": Case(
        "gpu_out_of_memory",
        "lmms-eval",
        "import torch; raise torch.OutOfMemoryError('CUDA out of memory. Tried 20 GiB.')",
    ),
    "cpu-memory": Case("host_out_of_memory", "lmms-eval", "import torch; torch.empty(1 << 50)"),
    "numpy-memory": Case(
        "host_out_of_memory", "lm-eval", "import numpy; numpy.zeros(1 << 50)", is_cheap=True
    ),
    "python-memory": Case("host_out_of_memory", "lm-eval", "bytes(1 << 60)", is_cheap=True),
    "no-gpu": Case("gpu_unavailable", "lmms-eval", "import torch; torch.zeros(1).cuda()"),
    "port-of-store": Case(
        "port_in_use",
        "lmms-eval",
        "import socket; s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen()\n"
        "from torch.distributed import TCPStore\n"
        "TCPStore('127.0.0.1', s.getsockname()[1], is_master=True)",
    ),
    "port": Case(
        "port_in_use",
        "lm-eval",
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
        "socket.socket().bind(s.getsockname())",
        is_cheap=True,
    ),
    "store-timeout": Case(
        "distributed_timeout",
        "lmms-eval",
        "import datetime; from torch.distributed import TCPStore\n"
        "TCPStore('127.0.0.1', 9, is_master=False, timeout=datetime.timedelta(seconds=1))",
    ),
    "join-timeout": Case(
        "distributed_timeout",
        "lmms-eval",
        "import datetime, torch.distributed as d\n"
        "d.init_process_group('gloo', init_method='tcp://127.0.0.1:29520', rank=0, world_size=2,"
        " timeout=datetime.timedelta(seconds=1))",
    ),
    "open-files": Case(
        "too_many_open_files",
        "lm-eval",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
        "files = [open('/dev/null') for _ in range(50)]",
        is_cheap=True,
    ),
    "quota": Case(
        "disk_quota",
        "lm-eval",
        "import errno, os; raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), '/data/x')",
        is_cheap=True,
    ),
    "disk": Case(
        "disk_full",
        "lm-eval",
        "open('{dir}/x', 'wb').write(b'x' * 10**6)",
        is_cheap=True,
        on_small_disk=True,
    ),
    "disk-sqlite": Case(
        "disk_full",
        "lm-eval",
        "import sqlite3; db = sqlite3.connect('{dir}/x.db'); db.execute('CREATE TABLE t (a)')\n"
        "db.execute('INSERT INTO t VALUES (?)', (b'x' * 10**6,)); db.commit()",
        is_cheap=True,
        on_small_disk=True,
    ),
    "disk-torch": Case(
        "disk_full",
        "lmms-eval",
        "import torch; torch.save(torch.zeros(10**6), '{dir}/x.pt')",
        on_small_disk=True,
    ),
    "shm": Case(
        "shared_memory",
        "lmms-eval",
        "import torch; torch.zeros(10**6).share_memory_()",
        with_small_shm=True,
    ),
    "shm-worker": Case(
        "shared_memory", "lmms-eval", WORKER % "return torch.zeros(10**6)", with_small_shm=True
    ),
    "worker-killed": Case(
        "host_out_of_memory", "lmms-eval", WORKER % "os.kill(os.getpid(), signal.SIGKILL)"
    ),
    "no-module": Case("missing_package", "lm-eval", "import vllm", is_cheap=True),
    "old-module": Case("missing_package", "lm-eval", "from json import nothing", is_cheap=True),
    "flash-attention": Case(
        "missing_package",
        "lmms-eval",
        "from transformers import LlamaConfig, LlamaForCausalLM as Llama\n"
        "config = LlamaConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)\n"
        "Llama._from_config(config, attn_implementation='flash_attention_2')",
    ),
    "no-weights": Case(
        "checkpoint_invalid", "lmms-eval", CHECKPOINT % ("{{'model_type': 'llama'}}", "LlamaModel")
    ),
    "no-model-type": Case("checkpoint_invalid", "lmms-eval", CHECKPOINT % ("{{}}", "AutoConfig")),
    "no-tokenizer": Case(
        "checkpoint_invalid",
        "lmms-eval",
        CHECKPOINT % ("{{'model_type': 'llama'}}", "AutoTokenizer"),
    ),
    "new-architecture": Case(
        "unsupported_model", "lmms-eval", CHECKPOINT % ("{{'model_type': 'new99'}}", "AutoConfig")
    ),
    "damaged-json": Case(
        "checkpoint_invalid",
        "lmms-eval",
        "open('{dir}/config.json', 'w').write('(')\n"
        "import transformers; transformers.AutoConfig.from_pretrained('{dir}')",
    ),
    "damaged-safetensors": Case(
        "checkpoint_invalid",
        "lmms-eval",
        "open('{dir}/x.safetensors', 'wb').write(b'12345678901234567890')\n"
        "from safetensors import safe_open; safe_open('{dir}/x.safetensors', 'pt')",
    ),
    "other-architecture": Case(
        "checkpoint_invalid",
        "lmms-eval",
        "import torch\n"
        "state = dict(weight=torch.zeros(3, 3), bias=torch.zeros(2))\n"
        "torch.nn.Linear(2, 2).load_state_dict(state)",
    ),
    "no-checkpoint": Case(
        "checkpoint_missing",
        "lmms-eval",
        "from transformers import AutoConfig; AutoConfig.from_pretrained('/data/ckpt/step-100')",
    ),
    **{
        f"openai-{name}": Case(
            code,
            "inspect",
            ASK % f"{{url}}/provider/{name}",
            is_cheap=name in ("401", "429", "context"),
        )
        for name, code in {
            "401": "provider_authentication",
            "403": "provider_authentication",
            "404": "provider_model",
            "429": "provider_rate_limit",
            "quota": "provider_quota",
            "context": "context_length",
            "500": "provider_error",
        }.items()
    },
    "openai-no-key": Case("missing_key", "inspect", "import openai; openai.OpenAI()"),
    "openai-down": Case("provider_unreachable", "inspect", ASK % "http://127.0.0.1:9"),
    "wrong-argument": Case(
        "invalid_arguments",
        "inspect",
        "import openai; openai.OpenAI(api_key='x', nosuch=1)",
    ),
    "damaged-yaml": Case(
        "task_error",
        "lm-eval",
        "open('{dir}/x.yaml', 'w').write('task: x\\n  y: [z\\n')\n"
        "import yaml; yaml.safe_load(open('{dir}/x.yaml'))",
        is_cheap=True,
    ),
    "lm-eval-option": Case(
        "invalid_arguments", "lm-eval", arguments=("-m", "lm_eval", "run", "--nosuch=1")
    ),
    "lm-eval-no-key": Case(
        "missing_key",
        "lm-eval",
        "from lm_eval.models.openai_completions import OpenAIChatCompletion as Model\n"
        "Model(model='m').api_key",
    ),
    "lm-eval-401": Case(
        "provider_authentication",
        "lm-eval",
        arguments=_lm_eval(
            "local-chat-completions",
            "plain",
            "--apply_chat_template",
            "--model_args=model=m,max_retries=1,base_url={url}/provider/401/v1/chat/completions",
        ),
    ),
    "lmms-eval-task-key": Case(
        "task_error",
        "lmms-eval",
        arguments=("-m", "lmms_eval", *_wanted("dummy", "raising"), "--output_path", "{dir}"),
    ),
    "inspect-401": _inspect("provider_authentication", "openai-api/lab/m", "plain", "401"),
    "inspect-no-key": _inspect("missing_key", "openai/m", "plain"),
    "inspect-task": _inspect("unknown_task", "openai-api/lab/m", "nosuch", "401"),
    "inspect-raising": _inspect("task_error", "openai-api/lab/m", "raising", "fine"),
    "lm-eval-task": Case("unknown_task", "lm-eval", arguments=_lm_eval("dummy", "nosuch")),
    "lm-eval-model": Case("unknown_model", "lm-eval", arguments=_lm_eval("nosuch", "plain")),
    "lm-eval-vllm": Case("missing_package", "lm-eval", arguments=_lm_eval("vllm", "plain")),
    "lm-eval-unsafe": Case("code_not_confirmed", "lm-eval", arguments=_lm_eval("dummy", "unsafe")),
    "lm-eval-raising": Case("task_error", "lm-eval", arguments=_lm_eval("dummy", "raising")),
    "lm-eval-template": Case("task_error", "lm-eval", arguments=_lm_eval("dummy", "template")),
    "lm-eval-no-data": Case("dataset_invalid", "lm-eval", arguments=_lm_eval("dummy", "no_data")),
}


def run(case: Case, url: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the program of a case, with its output in ``stdout``."""
    fill = {"url": url, "dir": str(directory)}
    program = ("-c", case.program.format(more="", **fill)) if case.program else ()
    arguments = tuple(each.format(**fill) for each in case.arguments)
    argv = [str(interpreter(case.harness)), *program, *arguments]
    if case.with_small_shm:
        mount = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'
        argv = ["unshare", "-m", "sh", "-c", mount, "sh", *argv]
    left_out = ("HF_", "OPENAI")
    inherited = {key: each for key, each in os.environ.items() if not key.startswith(left_out)}
    own = {"HF_HOME": str(directory / "hf"), "TQDM_DISABLE": "1", "HF_HUB_DISABLE_XET": "1"}
    env = {key: each.format(**fill) for key, each in case.env.items()}
    return subprocess.run(
        argv,
        env={**inherited, **own, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def without_places(output: str, url: str, directory: Path) -> str:
    """Return an output without what depends on the machine."""
    places = {str(VENVS): "/venvs", str(directory): "/data", url: "http://hub", str(TASKS): "/lab"}
    places[str(LAUNCHER.parents[2])] = "/evalserver"
    for place, name in places.items():
        output = output.replace(place, name)
    return output
