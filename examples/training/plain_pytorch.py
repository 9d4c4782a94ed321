"""Train with a loop of one's own, and have every checkpoint evaluated meanwhile.

    pip install evalserver torch
    EVALSERVER_URL=http://gpu-node:8000 python plain_pytorch.py RUN_DIRECTORY

Called again, it goes on from its last checkpoint. The model is a tiny one, and ``dummy`` is
lmms-eval's model without weights: put yours in their place. In a distributed run, rank 0 submits
and collects, whoever calls it; saving is yours to leave to one process.
"""

import sys
from pathlib import Path

import torch

from evalserver.training import CheckpointEvaluations, Evaluation

STEPS, SAVE_EVERY = 40, 10


def main(run: Path) -> None:
    """Train, and print every metric of the evaluations."""
    run.mkdir(parents=True, exist_ok=True)
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    first_step = 0
    with CheckpointEvaluations(
        series=run.name,  # one name for each run: it resumes under the same one
        model="dummy",
        tasks=["mme"],
        on_newer="supersede",  # further fields of submit_checkpoint
    ) as evaluations:
        if (run / "last.pt").exists():
            saved = torch.load(run / "last.pt")
            first_step = saved["step"]
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            evaluations.load_state_dict(saved["evaluations"])
            evaluations.submit(run / f"checkpoint-{first_step}", step=first_step)  # if it was not
        for step in range(first_step + 1, STEPS + 1):
            train_one_step(model, optimizer)
            for evaluation in evaluations.collect():
                report(evaluation)
            if step % SAVE_EVERY == 0:
                save(run, step, model, optimizer, evaluations)
                evaluations.submit(run / f"checkpoint-{step}", step=step)
        evaluations.wait(600)
        for evaluation in evaluations.collect():
            report(evaluation)


def report(evaluation: Evaluation) -> None:
    """Print the metrics at their step.

    With Weights & Biases, say once
    ``run.define_metric("eval/*", step_metric="eval/step")``, and here
    ``run.log({"eval/step": step, **{f"eval/{name}": value ..}})``.
    """
    if evaluation.error is not None:
        print(f"step {evaluation.step}: {evaluation.status}: {evaluation.error}", flush=True)
    for name, value in evaluation.metrics.items():
        print(f"step {evaluation.step}: {name} = {value}", flush=True)


def save(
    run: Path,
    step: int,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    evaluations: CheckpointEvaluations,
) -> None:
    """Write what the harness loads, and what a resumed run needs: whole, or as it was before."""
    checkpoint = run / f"checkpoint-{step}"
    checkpoint.mkdir(exist_ok=True)
    torch.save(model.state_dict(), checkpoint / "weights.pt")
    state = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "evaluations": evaluations.state_dict(),
    }
    torch.save(state, run / "last.new")
    (run / "last.new").replace(run / "last.pt")


def train_one_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Train on something."""
    loss = model(torch.randn(4, 8)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
