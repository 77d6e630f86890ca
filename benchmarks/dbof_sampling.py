"""What DbofModel's sampling in inference changes: GAP and MAP of whole videos, all frames against 30 sampled ones.

The starter code's DbofModel draws 30 frames in inference as in training; ours sees every frame then, unless
sample_at_inference is set. Each seed trains one model on the built-in sample's whole videos, and its weights are evaluated
both ways, the sampled way with several seeds of the draws. Segments have fewer frames than are drawn: they are seen whole
either way.
"""

import dataclasses
import shutil
import statistics
import tempfile
from pathlib import Path

import report

import yt8m
from yt8m import config as configs

SIZES = {"cluster_size": 1024, "hidden_size": 512}
METRICS = ("gap", "map")


def run(seed, steps, draws):
    """Trains a model; {way: {metric: value}}: of all frames, and the mean over the seeds of the draws."""
    with tempfile.TemporaryDirectory() as folder, report.quiet():
        whole = Path(folder) / "whole"
        yt8m.train(
            model="DbofModel", stage="pretrain", seed=seed, train_dir=str(whole), max_steps=steps, hyperparameters=SIZES,
            save_steps=10**6, precision="float32",
        )  # fmt: skip
        results = [yt8m.evaluate(train_dir=str(whole), run_once=True)]
        for draw in range(draws):
            sampled = shutil.copytree(whole, Path(folder) / f"sampled_{draw}")
            config = configs.read_model_config(sampled)
            options = {**config.hyperparameters, "sample_at_inference": True, "inference_seed": draw}
            configs.write_model_config(sampled, dataclasses.replace(config, hyperparameters=options))
            results.append(yt8m.evaluate(train_dir=str(sampled), run_once=True))
    of_all, *of_draws = ({metric: float(result[metric]) for metric in METRICS} for result in results)
    means = {metric: statistics.mean(result[metric] for result in of_draws) for metric in METRICS}
    return {"all frames": of_all, "30 sampled": means}


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--draws", type=int, default=3, help="seeds of the draws in inference")
    options = parser.parse_args()
    seeds, steps = (1, 50) if options.quick else (options.seeds, options.steps)
    results, rows = [run(seed, steps, options.draws) for seed in range(1, seeds + 1)], []
    for metric in METRICS:
        of_all, sampled = ([result[way][metric] for result in results] for way in ("all frames", "30 sampled"))
        differences = [a - b for a, b in zip(of_all, sampled)]
        spread = statistics.stdev(differences) / seeds**0.5 if seeds > 1 else None
        mean, other = statistics.mean(of_all), statistics.mean(sampled)
        baseline = dict(baseline="30 sampled", baseline_value=other, ratio=mean / other)
        rows.append(report.row("all frames (±: of the difference)", mean, metric.upper(), spread=spread, **baseline))
    report.show(f"DbofModel on whole videos of the built-in sample, {steps} steps, {seeds} seeds", rows, options.json)


if __name__ == "__main__":
    main()
