"""Train with Lightning's Trainer, and have every checkpoint evaluated meanwhile.

    pip install evalserver torch lightning
    EVALSERVER_URL=http://gpu-node:8000 python lightning_trainer.py RUN_DIRECTORY

Called again, it goes on from the newest checkpoint. The model is a tiny one, and ``dummy`` is
lmms-eval's model without weights: put yours in their place.
"""

import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from evalserver.training.lightning import EvalServerCallback


def main(run: Path) -> None:
    """Train; the metrics of the evaluations are in the logger's file."""
    logger = CSVLogger(run, name="log")
    trainer = Trainer(
        max_epochs=2,
        logger=logger,  # or WandbLogger, TensorBoardLogger, ..
        log_every_n_steps=2,
        callbacks=[
            ModelCheckpoint(run, every_n_train_steps=2, save_top_k=-1),
            EvalServerCallback(
                series=run.name,  # one name for each run: it resumes under the same one
                model="dummy",
                tasks=["mme"],
                export=save_for_evaluation,
                wait_at_end_s=600,  # the default is not to wait
            ),
        ],
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = torch.utils.data.DataLoader(torch.randn(4, 8), batch_size=1)
    trainer.fit(Tiny(), batches, ckpt_path=newest_checkpoint(run))
    print(Path(logger.log_dir, "metrics.csv").read_text())


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


def newest_checkpoint(run: Path) -> Path | None:
    return max(run.glob("*.ckpt"), key=lambda path: path.stat().st_mtime, default=None)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
