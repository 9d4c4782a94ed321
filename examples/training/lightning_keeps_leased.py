"""Train with Lightning's Trainer, which keeps one checkpoint, and those that evaluations need.

    pip install evalserver torch lightning
    EVALSERVER_URL=http://gpu-node:8000 python lightning_keeps_leased.py RUN_DIRECTORY

The server writes a mark into each checkpoint that an evaluation needs (``lease="mark"``). Lightning
asks its ``CheckpointIO`` to remove older ones: here it removes those without a mark, and the others
later. The model is a tiny one, and ``dummy`` is lmms-eval's model without weights.
"""

import os
import shutil
import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from evalserver import is_leased
from evalserver.training.lightning import EvalServerCallback


class KeepsLeased(TorchCheckpointIO):
    """Removes a checkpoint, and what was written of it for its evaluation, when nobody needs it."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Path] = []

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        older, self._kept = [*self._kept, Path(path)], []
        for each in older:
            if is_leased(each.with_suffix("")):
                self._kept.append(each)
            else:
                super().remove_checkpoint(each)
                shutil.rmtree(each.with_suffix(""), ignore_errors=True)


def main(run: Path) -> None:
    """Train; of four checkpoints, the last stays, with those that are being evaluated."""
    trainer = Trainer(
        max_epochs=2,
        logger=False,
        callbacks=[
            ModelCheckpoint(run, every_n_train_steps=2, save_top_k=1),
            EvalServerCallback(
                series=run.name,
                model="dummy",
                tasks=["mme"],
                export=save_for_evaluation,
                lease="mark",
            ),
        ],
        plugins=[KeepsLeased()],
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = torch.utils.data.DataLoader(torch.randn(4, 8), batch_size=1)
    trainer.fit(Tiny(), batches)


def save_for_evaluation(module: LightningModule, checkpoint: Path) -> Path:
    """Write what the harness can load; with transformers: ``module.model.save_pretrained``."""
    exported = checkpoint.with_suffix("")
    exported.mkdir(exist_ok=True)
    torch.save(module.state_dict(), exported / "weights.pt")
    return exported


class Tiny(LightningModule):
    """A model of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
