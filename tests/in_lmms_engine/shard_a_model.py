"""Leaves a tiny model in shards, as lmms-engine's trainer does (``train/fsdp2/fsdp2_trainer.py``).

    python shard_a_model.py CHECKPOINT

shards the model over two processes with FSDP2, on the CPU, and has each save its part: its weights,
and as EMA weights twice these. Beside the checkpoint, ``whole`` is the model, never sharded.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

RANKS = 2
FOLDERS = {"pytorch_model_fsdp_0": 1, "pytorch_ema_model_fsdp_0": 2}
"""And by what the weights in each are multiplied."""
WORDS = 33
UNKNOWN = "[UNK]"


def main(checkpoint: Path) -> None:
    """Make the checkpoint."""
    checkpoint.mkdir(parents=True)
    model = _model()
    model.to(torch.bfloat16).save_pretrained(checkpoint.parent / "whole")
    model.config.save_pretrained(checkpoint)
    words = {UNKNOWN: 0, **{f"w{number}": number for number in range(1, WORDS)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(checkpoint)
    mp.spawn(_save_part, (checkpoint,), nprocs=RANKS)


def _save_part(rank: int, checkpoint: Path) -> None:
    meeting_place = checkpoint.parent / "meeting-place"
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting_place}", rank=rank, world_size=RANKS
    )
    model, mesh = _model(), init_device_mesh("cpu", (RANKS,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for folder, factor in FOLDERS.items():
        part = {name: weights * factor for name, weights in model.state_dict().items()}
        (checkpoint / folder).mkdir(exist_ok=True)
        torch.save(part, checkpoint / folder / f"model_world_size_{RANKS}_rank_{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def _model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=WORDS,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        architectures=["Qwen2ForCausalLM"],
    )
    return Qwen2ForCausalLM(config)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
