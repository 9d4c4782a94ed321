"""Train with Hugging Face's Trainer, and have every checkpoint evaluated meanwhile.

    pip install evalserver torch transformers accelerate
    EVALSERVER_URL=http://gpu-node:8000 python huggingface_trainer.py RUN_DIRECTORY

Called again, it goes on from the newest checkpoint. The model is a tiny one, and ``dummy`` is
lmms-eval's model without weights: put yours in their place.
"""

import sys
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from evalserver.training.huggingface import EvalServerCallback


def main(run: Path) -> None:
    """Train, and print every metric of the evaluations."""
    trainer = Trainer(
        model=GPT2LMHeadModel(GPT2Config(vocab_size=32, n_embd=8, n_layer=1, n_head=1)),
        args=TrainingArguments(
            output_dir=str(run),
            max_steps=6,
            save_steps=2,
            logging_steps=2,
            per_device_train_batch_size=1,
            report_to="none",  # or "wandb", "tensorboard", ..: they get the metrics
            disable_tqdm=True,
        ),
        train_dataset=tokens(),
    )
    trainer.add_callback(
        EvalServerCallback(
            trainer,
            series=run.name,  # one name for each run: it resumes under the same one
            model="dummy",
            tasks=["mme"],
            wait_at_end_s=600,  # the default is not to wait
        )
    )
    run.mkdir(parents=True, exist_ok=True)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(run)))
    for entry in trainer.state.log_history:
        if "eval_mme/acc" in entry:
            print(f"step {entry['step']}: mme/acc = {entry['eval_mme/acc']}")


def tokens() -> list[dict[str, torch.Tensor]]:
    """Return something to train on."""
    texts = [torch.randint(0, 32, (8,)) for _ in range(16)]
    return [{"input_ids": text, "labels": text} for text in texts]


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
