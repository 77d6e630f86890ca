"""Does it learn where a topic is? MAP on the built-in sample's held-out rated segments, over several seeds.

Each model is pre-trained on whole videos and fine-tuned on rated segments with the recipe of the sample, as
`python train.py --model=...` does it; the table shows the mean over the seeds and its standard error, beside chance and
ceiling, and whether the model gets more than half of the way and fine-tuning improves on pre-training, each by more than two
standard errors. With several --precisions each seed is trained in one after the other, and each is compared with the first.
"""

import statistics
import tempfile
import time

import report

import yt8m
from yt8m.sample.sample import ensure_sample
from yt8m.stages import report as stages_report

MODELS = ("FrameLevelLogisticModel", "AttentionModel", "MultiAttentionModel")


def run(name, seed, precision="float32"):
    """Trains one model; returns its MAP after each stage, the seconds it took and those of all cores."""
    start, used = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, report.quiet():
        yt8m.train(model=name, seed=seed, train_dir=folder, save_steps=10**6, precision=precision)
        maps = stages_report.read(folder)
    return [maps["pretrain"], maps["finetune"]], time.monotonic() - start, time.process_time() - used


def rows_of(name, precision, results, half, first):
    """A model's rows in one precision, after each stage and, but for the first precision, its difference to that."""
    label = name if first else f"{name} in {precision}"
    before, after = ([maps[stage] for maps, *_ in results[precision]] for stage in (0, 1))
    goal = dict(goal="more than half, and better than pre-trained", met=reached(before, after, half))
    beside = dict(
        baseline="pre-trained", baseline_value=statistics.mean(before), ratio=statistics.mean(after) / statistics.mean(before)
    )
    rows = [
        report.row(f"{label}, pre-trained", statistics.mean(before), "MAP", spread=error_of(before)),
        report.row(f"{label}, fine-tuned", statistics.mean(after), "MAP", spread=error_of(after), **beside, **goal),
        report.row(f"{label}: a run", statistics.mean(used for _, _, used in results[precision]), "s of CPU"),
    ]
    if not first:
        other = next(iter(results))
        differences = [ours[0][1] - theirs[0][1] for ours, theirs in zip(results[precision], results[other])]
        mean, error = statistics.mean(differences), error_of(differences)
        within = dict(goal="0 within two standard errors", met=None if error is None else abs(mean) <= 2 * error)
        rows.append(report.row(f"{label}: difference to {other}, by seed", mean, "MAP", spread=error, **within))
    return rows


def reached(before, after, half):
    """Whether MAP is above `half`, and above that before fine-tuning seed by seed, each by more than two standard errors; None of
    a single seed."""
    of_both = [[value - half for value in after], [ours - theirs for ours, theirs in zip(after, before)]]
    return None if len(after) < 2 else all(report.reached("above", gains) for gains in of_both)


def error_of(values):
    """Standard error of a mean; None of one value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--precisions", nargs="+", default=["float32"], choices=["float32", "mixed_bfloat16"])
    options = parser.parse_args()
    sample = ensure_sample("small")
    chance, oracle = sample.held_out_chance_map, sample.held_out_oracle_map
    half = (chance + oracle) / 2
    rows = [report.row("chance", chance, "MAP"), report.row("half of the way", half, "MAP"), report.row("oracle", oracle, "MAP")]
    for name in options.models[-1:] if options.quick else options.models:
        results = {precision: [] for precision in options.precisions}
        for seed in range(1, options.seeds + 1):
            for precision in options.precisions:
                results[precision].append(run(name, seed, precision))
                maps, seconds, used = results[precision][-1]
                print(
                    f"{name}, {precision}, seed {seed}: MAP {maps[0]:.3f}, {maps[1]:.3f}, {seconds:.0f} s ({used:.0f} of CPU)",
                    flush=True,
                )
        for precision in options.precisions:
            rows += rows_of(name, precision, results, half, precision == options.precisions[0])
    report.show(f"Localisation on the built-in sample, {options.seeds} seeds", rows, options.json)


if __name__ == "__main__":
    main()
