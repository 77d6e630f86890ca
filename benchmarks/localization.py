"""Does it learn where a topic is? MAP on the built-in sample's held-out rated segments, over several seeds.

Each model is pre-trained on whole videos and fine-tuned on rated segments with the recipe of the sample, as
`python train.py --model=...` does it; the table shows the mean over the seeds and its standard error, beside chance and
ceiling, and whether the model gets more than half of the way and fine-tuning improves on pre-training.
"""

import contextlib
import io
import statistics
import tempfile
import time

import report

import yt8m
from yt8m.sample.sample import ensure_sample
from yt8m.stages import report as stages_report

MODELS = ("FrameLevelLogisticModel", "AttentionModel", "MultiAttentionModel")


def run(name, seed):
    """Trains one model; returns its MAP after each stage and the seconds it took."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        yt8m.train(model=name, seed=seed, train_dir=folder, save_steps=10**6, precision="float32")
        maps = stages_report.read(folder)
    return [maps["pretrain"], maps["finetune"]], time.monotonic() - start


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=MODELS)
    options = parser.parse_args()
    sample = ensure_sample("small")
    chance, oracle = sample.held_out_chance_map, sample.held_out_oracle_map
    half = (chance + oracle) / 2
    rows = [report.row("chance", chance, "MAP"), report.row("half of the way", half, "MAP"), report.row("oracle", oracle, "MAP")]
    for name in options.models[-1:] if options.quick else options.models:
        results = [run(name, seed) for seed in range(1, options.seeds + 1)]
        before, after = ([maps[stage] for maps, _ in results] for stage in (0, 1))
        for label, values in (("pre-trained", before), ("fine-tuned", after)):
            mean = statistics.mean(values)
            spread = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
            more = {}
            if label == "fine-tuned":
                gain = statistics.mean(after) - statistics.mean(before)
                more = dict(
                    baseline="pre-trained",
                    baseline_value=statistics.mean(before),
                    ratio=mean / statistics.mean(before),
                    goal="more than half, and better than pre-trained",
                    met=mean > half and gain > 0,
                )
            rows.append(report.row(f"{name}, {label}", mean, "MAP", spread=spread, **more))
        print(
            f"{name}: {[tuple(round(value, 3) for value in maps) for maps, _ in results]}, "
            f"{statistics.mean(seconds for _, seconds in results):.0f} s a run",
            flush=True,
        )
    report.show(f"Localisation on the built-in sample, {options.seeds} seeds", rows, options.json)


if __name__ == "__main__":
    main()
