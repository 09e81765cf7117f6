"""Train the eye classifier from scratch: `python golden/train.py`.

Draws the training and validation birds (once), trains at rising resolutions, and keeps an exponential moving average of
the weights. It can be stopped and resumed at any epoch. `golden/build/` holds unfinished work; `--publish` also
measures the golden set, and writes the checkpoint, its metrics and the learning curve beside this file.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import math
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from augment import augmented, resized
from PIL import __version__ as pillow_version
from renders import BUILD, HERE, Examples, golden_examples, rendered, renderer_digest
from rich.progress import track
from safetensors.torch import save_file
from scoring import Quality, normalised, quality, scores
from torch import nn
from torch.optim.swa_utils import AveragedModel
from training_plan import DEFAULT_STAGES, Plan, parse_stages

from eye_classifier import EyeClassifier
from eyes.calibration import TRAINING_BIRDS
from eyes.dataset import SEED as RENDERER_SEED

Tensors: TypeAlias = tuple[torch.Tensor, ...] | list[torch.Tensor]


class Run:
    """A training in progress: the model, its average, the optimiser and the position.

    Args:
        plan: The plan of the training.
        state: File with everything needed to resume.
    """

    def __init__(self, plan: Plan, state: Path) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.state = state
        self.model = EyeClassifier().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.model, multi_avg_fn=self._mean_weights, use_buffers=True)
        # No weight decay on biases and normalisation: they have few values and no product to shrink.
        plain = [weight for weight in self.model.parameters() if weight.ndim <= 1]
        decayed = [weight for weight in self.model.parameters() if weight.ndim > 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": plan.decay}, {"params": plain, "weight_decay": 0.0}],
            lr=plan.rate,
            fused=True,
        )
        self.epoch = 0
        self.curve: list[dict[str, float]] = []

    def _mean_weights(self, mean: Tensors, current: Tensors, count: torch.Tensor | int) -> None:
        """Move the averaged weights towards the current ones: fast at first, then with the plan's decay."""
        if not mean[0].is_floating_point():
            torch._foreach_copy_(mean, current)
            return
        decay = min(self.plan.average, (1.0 + float(count)) / (10.0 + float(count)))
        torch._foreach_lerp_(mean, current, 1.0 - decay)

    def resume(self) -> bool:
        """Resume from the saved state if there is one of the same plan; return whether it did."""
        if not self.state.exists():
            return False
        saved = torch.load(self.state, weights_only=True)
        if saved["plan"] != json.dumps(asdict(self.plan)):
            message = f"{self.state} belongs to another plan: remove it, or train with the plan that made it"
            raise SystemExit(message)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.epoch, self.curve = saved["epoch"], saved["curve"]
        return True

    def save(self) -> None:
        """Write everything needed to resume, atomically."""
        partial_file = self.state.with_suffix(".part")
        content = {
            "plan": json.dumps(asdict(self.plan)),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "curve": self.curve,
        }
        torch.save(content, partial_file)
        partial_file.replace(self.state)

    def rate_at(self, progress: float) -> float:
        """Learning rate after a share `progress` of all work: linear warm-up over 5 %, then half a cosine to 1 %."""
        warmup = 0.05
        if progress < warmup:
            return self.plan.rate * (0.05 + 0.95 * progress / warmup)
        cosine = 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (1.0 - warmup)))
        return self.plan.rate * (0.01 + 0.99 * cosine)

    def train_epoch(self, examples: Examples) -> float:
        """Train one epoch; return the mean loss."""
        epochs = self.plan.epochs()
        side, pictures = epochs[self.epoch]
        work = [count * resolution**2 for resolution, count in epochs]
        before, share = sum(work[: self.epoch]) / sum(work), work[self.epoch] / sum(work)
        torch.manual_seed(self.plan.seed * 1000 + self.epoch)  # a resumed epoch uses the same dropout
        rng = np.random.default_rng([self.plan.seed, self.epoch])
        generator = torch.Generator().manual_seed(self.plan.seed * 1000 + self.epoch)
        order = rng.permutation(len(examples.labels))[:pictures]
        steps = len(order) // self.plan.batch
        small = resized(examples.pictures[order], side)
        labels = torch.from_numpy(examples.labels[order])
        self.model.train()
        total = 0.0
        title = f"epoch {self.epoch + 1}/{len(epochs)} at {side}"
        for number in track(range(steps), title):
            chosen = slice(number * self.plan.batch, (number + 1) * self.plan.batch)
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate_at(before + share * number / steps)
            pixels = augmented(normalised(torch.from_numpy(small[chosen])), generator)
            output = self.model(pixels.contiguous(memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(output, labels[chosen], label_smoothing=self.plan.smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimiser.step()
            self.average.update_parameters(self.model)
            total += loss.item()
        self.epoch += 1
        return total / max(1, steps)

    def fit(self, training: Examples, validation: Examples) -> None:
        """Train to the end; save after every epoch."""
        epochs = self.plan.epochs()
        while self.epoch < len(epochs):
            side, pictures = epochs[self.epoch]
            loss = self.train_epoch(training)
            validated = quality(scores(self.average, resized(validation.pictures, side)).argmax(1), validation.labels)
            self.curve.append(
                {
                    "epoch": self.epoch,
                    "side": side,
                    "pictures": pictures,
                    "loss": round(loss, 5),
                    "validation_macro_f1": round(validated.macro_f1, 5),
                }
            )
            self.save()
            print(
                f"epoch {self.epoch}: side {side}, loss {loss:.4f}, validation macro-F1 {validated.macro_f1:.4f}",
                flush=True,
            )

    def settle(self, examples: Examples, pictures: int = 960) -> None:
        """Recompute the averaged network's batch normalisation statistics at full size: they lag behind."""
        for module in self.average.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the plain mean over all batches
                module.train()
        chosen = np.random.default_rng([self.plan.seed, self.epoch]).permutation(len(examples.labels))[:pictures]
        with torch.inference_mode():
            for start in range(0, len(chosen), 32):
                self.average(normalised(torch.from_numpy(examples.pictures[chosen[start : start + 32]])))
        self.average.eval()

    def weights(self) -> dict[str, torch.Tensor]:
        """The averaged weights, float32 and contiguous, for the checkpoint."""
        return {name: value.detach().clone().contiguous() for name, value in self.average.module.state_dict().items()}


def publish(run: Run, validation: Examples, folder: Path = HERE) -> dict[str, Quality]:
    """Write checkpoint, metrics and learning curve; return the measured quality by set."""
    partial_file = folder / "checkpoint.safetensors.part"
    save_file(run.weights(), partial_file)
    partial_file.replace(folder / "checkpoint.safetensors")
    model = EyeClassifier()
    model.load_state_dict(run.weights())
    measured = {
        name: quality(scores(model, examples.pictures).argmax(1), examples.labels)
        for name, examples in (("golden", golden_examples(folder)), ("validation", validation))
    }
    report = {
        "quality": {name: value.plain() for name, value in measured.items()},
        "plan": asdict(run.plan),
        "epochs_done": run.epoch,
        "renderer": {"seed": RENDERER_SEED, "drawings_digest": renderer_digest()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pillow": pillow_version,
        },
    }
    (folder / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    with (folder / "learning_curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(run.curve[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(run.curve)
    return measured


def _keep_memory() -> None:
    """Make the C library keep freed memory: returning it after every layer halves the training speed."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in ((-1, 2**31 - 1), (-2, 2**28), (-4, 0)):  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX
            libc.mallopt(option, value)


def _arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--stages", type=parse_stages, default=DEFAULT_STAGES, help="SIDExEPOCHS@PICTURES,... (%(default)s)"
    )
    parser.add_argument("--birds", type=int, default=TRAINING_BIRDS, help="training birds (%(default)s)")
    parser.add_argument("--photographs", type=int, default=1, help="photographs of each training bird (%(default)s)")
    parser.add_argument("--validation-birds", type=int, default=500, help="validation birds (%(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="images a step (%(default)s)")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate (%(default)s)")
    parser.add_argument("--decay", type=float, default=0.02, help="weight decay (%(default)s)")
    parser.add_argument("--smoothing", type=float, default=0.05, help="label smoothing (%(default)s)")
    parser.add_argument("--average", type=float, default=0.98, help="decay of the average of the weights (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the training (%(default)s)")
    parser.add_argument("--state", type=Path, default=BUILD / "training.pt", help="file of the unfinished training")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (%(default)s)")
    parser.add_argument("--publish", action="store_true", help="write checkpoint, metrics and curve at the end")
    return parser.parse_args()


def main() -> None:
    """Draw, train, and publish on request."""
    options = _arguments()
    _keep_memory()
    torch.set_num_threads(options.threads)
    plan = Plan(
        stages=options.stages,
        training_birds=options.birds,
        training_each=options.photographs,
        validation_birds=options.validation_birds,
        batch=options.batch,
        rate=options.rate,
        decay=options.decay,
        smoothing=options.smoothing,
        average=options.average,
        seed=options.seed,
    )
    BUILD.mkdir(exist_ok=True)
    training = rendered("training", plan.training_birds, plan.training_each)
    validation = rendered("validation", plan.validation_birds, 1)
    run = Run(plan, options.state)
    if run.resume():
        print(f"resuming after epoch {run.epoch}")
    run.fit(training, validation)
    if options.publish:
        run.settle(training)
        for name, value in publish(run, validation).items():
            print(f"{name}: macro-F1 {value.macro_f1:.4f}, accuracy {value.accuracy:.4f} of {value.images} pictures")


if __name__ == "__main__":
    main()
