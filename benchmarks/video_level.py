"""Video-level models on real data: shards of YouTube-8M's video-level validation set, GAP@20, Hit@1, PERR and MAP.

--data is a folder of shards, as validate0000 to validate0079 (23,091 videos, 3,862 classes): the last eighth of them is judged
on, the others are trained on. The last step's weights count. "plain" rows are trained as the starter code's were, batch 128, rate
.01, 14 epochs; the others with configs/video_level.flags and the flags that ROWS names. The recipe was chosen on that eighth,
with one seed, so that its lead there flatters it: --eval_data judges the same models on other videos.

  PYTHONPATH=$PWD python benchmarks/video_level.py --data DIR            every row, 2 seeds
  PYTHONPATH=$PWD python benchmarks/video_level.py --data DIR --work DIR          the same; what is in --work is not run again
  PYTHONPATH=$PWD python benchmarks/video_level.py --data DIR --only recipe --eval_data 'OTHER/*.tfrecord'
  PYTHONPATH=$PWD python benchmarks/video_level.py --data DIR --only plain        the models that are trained as the starter's
  PYTHONPATH=$PWD python benchmarks/video_level.py --data DIR --only beyond       what docs/beyond.md has, carried over
"""

import contextlib
import dataclasses
import glob
import json
import os
import pathlib
import resource
import shutil
import statistics
import sys
import tempfile
import time

import report

from yt8m.files import write_text

CLASSES = 3862
PUBLISHED = pathlib.Path(__file__).with_name("video_level_published.json")
MEASURES = ("gap", "hit_at_one", "perr", "map")
DATA = {"feature_names": ["mean_rgb", "mean_audio"], "feature_sizes": [1024, 128], "num_classes": CLASSES}
PLAIN = {"batch_size": 128, "base_learning_rate": 0.01, "num_epochs": 14}


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        flags: of `yt8m train`, over the recipe's.
        baseline: row that it is compared with, seed by seed; "": none.
        recipe: name of the flag file; "": none.
        checkpoints: judged is the mean of the weights of the newest so many, as `yt8m average` makes it; 0: the last alone.
    """

    flags: dict = dataclasses.field(default_factory=dict)
    baseline: str = ""
    recipe: str = "video_level"
    checkpoints: int = 0


def plain(model, baseline="", rate=0.01, **hyperparameters):
    """A Row of a model as the starter code trains its own."""
    return Row({"model": model, "hyperparameters": hyperparameters, **PLAIN, "base_learning_rate": rate}, baseline, recipe="")


def ablation(hyperparameters=None, **flags):
    """A Row of the recipe with other flags, or other hyper-parameters beside its own."""
    return Row({**flags, **({"hyperparameters": hyperparameters} if hyperparameters else {})}, RECIPE)


LOGISTIC, MOE, RECIPE = "LogisticModel, plain", "MoeModel, 2 mixtures, plain", "recipe"
EXPERTS = {"num_mixtures": 2, "low_rank_gates": 128, "l2_penalty": 0}
ROWS = {
    RECIPE: Row(baseline=MOE),
    LOGISTIC: plain("LogisticModel"),
    MOE: plain("MoeModel", LOGISTIC, num_mixtures=2),
    "MoeModel, 4 mixtures, plain": plain("MoeModel", MOE, num_mixtures=4),
    "MoeModel, 2 mixtures, gated, plain": plain("MoeModel", MOE, num_mixtures=2, probability_gating=True),
    "SharedGateMoeModel, plain": plain("SharedGateMoeModel", MOE, rate=0.001),  # its inputs are normed: longer than the others'
    "recipe, five branches": Row(baseline=RECIPE, recipe="video_level_branches"),
    "recipe, logistic head": ablation(
        {"video_level_classifier_model": "LogisticModel", "head_options": {"initial_probability": 0.001}}
    ),
    "recipe, features normalised together": ablation({"feature_lengths": None}),
    "recipe, batch norm's averages over 10 steps": ablation({"momentum": 0.9}),
    "recipe, biases from 0": ablation({"head_options": EXPERTS}),
}
PLAINLY = tuple(name for name in ROWS if name.endswith("plain"))
# What the systems beyond the papers gain on montages, here: averages of weights, and of models that each leave a fold out.
BAGS, CHECKPOINTS, CONSTANT = 4, 8, {"schedule": "staircase"}
KEPT = {"keep_checkpoints": CHECKPOINTS, "save_steps": 40}  # of some 630 steps the last 280
CARRIED = {
    "recipe, running average": ablation(ema_momentum=0.99),
    "recipe, constant rate": ablation(**CONSTANT),
    "recipe, constant rate, running average": Row({**CONSTANT, "ema_momentum": 0.99}, "recipe, constant rate"),
    "recipe, constant rate, mean of checkpoints": Row({**CONSTANT, **KEPT}, "recipe, constant rate", checkpoints=CHECKPOINTS),
    f"recipe, mean of {BAGS} folds": ablation(folds=BAGS, all_folds=True),
}
ROWS |= CARRIED


def flags_of(row):
    """The flags that a row is trained with; its hyper-parameters are over those of the recipe, if the model is the recipe's."""
    if not row.recipe:
        return {**DATA, **row.flags}
    from yt8m import flags

    recipe = flags.read(flags.TRAIN, {"recipe": row.recipe})
    recipe.pop("recipe", None)
    given = {**recipe, **DATA, **row.flags}
    if given["model"] == recipe["model"]:
        given["hyperparameters"] = {**recipe.get("hyperparameters", {}), **row.flags.get("hyperparameters", {})}
    return given


def train_and_judge(name, seed, train, judged, folder, shorter):
    """Trains a row with its checkpoints in `folder`, where a stopped run goes on; returns its measures and what it took."""
    import yt8m

    began = time.monotonic()
    given = {**flags_of(ROWS[name]), **shorter, "seed": seed, "train_data_pattern": train, "train_dir": folder, "log_steps": 100}
    with contextlib.redirect_stdout(sys.stderr):
        trained = yt8m.train(**given)
        if ROWS[name].checkpoints:
            averaged = os.path.join(folder, "averaged")
            shutil.rmtree(averaged, ignore_errors=True)
            yt8m.average_checkpoints(train_dir=folder, output_dir=averaged, num_checkpoints=ROWS[name].checkpoints)
            folder = averaged
        measures = judge(folder, judged)
    return {
        **{measure: float(measures[measure]) for measure in MEASURES},
        "parameters": trained.model.count_params() * given.get("folds", 1),
        "seconds": round(time.monotonic() - began),
        "gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def judge(folder, pattern):
    """Measures of the mean of a folder's models (of --all_folds several), by the weights of their last steps."""
    import numpy as np

    from yt8m.metrics.videos import VideoMetrics
    from yt8m.recipes.sources import folders_of_runs
    from yt8m.stages.evaluate import evaluate_videos
    from yt8m.training import restore

    told, labels = [], []
    for run in folders_of_runs({"train_dir": folder}):
        trained, kept = restore.newest(run), []
        labels.clear()
        evaluate_videos(trained.model, trained.config, pattern, keep=lambda *batch, kept=kept: kept.append(batch))
        told.append(np.concatenate([predictions for predictions, _ in kept]))
        labels += [of_batch for _, of_batch in kept]
    metrics = VideoMetrics(told[0].shape[1])
    metrics.update(np.mean(told, axis=0), np.concatenate(labels))
    return metrics.result()


class Bench:
    """Rows x seeds, each in a process of its own; what was run is a line of results.jsonl and is not run again.

    Args:
        folder: of the runs.
        train, judged: patterns of shards.
        shorter: flags over every row's (of --quick).
    """

    def __init__(self, folder, train, judged, shorter=None):
        self.folder, self.train, self.judged = pathlib.Path(folder).resolve(), train, judged
        self.shorter, self.version = shorter or {}, report.version_of_code()
        self.path = self.folder / "results.jsonl"
        self.results = read(self.path)

    def result(self, name, seed):
        """What was noted of a run of this version of the code on these data, or None."""
        wanted = self.key(name, seed)
        return next((kept for kept in self.results if wanted.items() <= kept.items()), None)

    def key(self, name, seed):
        return {"row": name, "seed": seed, "code": self.version, "judged": self.judged, "shorter": bool(self.shorter)}

    def run(self, name, seed):
        """Trains and judges a row, once."""
        if self.result(name, seed):
            return
        run = self.folder / f"{self.version}-{name}-{seed}".replace(" ", "_").replace("/", "_").replace(",", "")
        run.mkdir(parents=True, exist_ok=True)
        arguments = (name, seed, self.train, self.judged, str(run), self.shorter)
        kept = {**self.key(name, seed), **report.in_a_process("video_level", "train_and_judge", *arguments)}
        self.results.append(kept)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(kept) + "\n")
        shutil.rmtree(run)
        print(f"seed {seed} | {name}: GAP {kept['gap']:.4f}, MAP {kept['map']:.4f}, {kept['seconds']} s", flush=True)


def read(path):
    """The whole lines of results.jsonl: of one that was being written when the machine stopped there is only a part."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines if line]


def rows_of(bench, names, seeds):
    """Rows of the table: means over the seeds, GAP beside the baseline's."""
    rows = []
    for name in names:
        kept, baseline = [bench.result(name, seed) for seed in seeds], ROWS[name].baseline
        gaps = [result["gap"] for result in kept]
        mean = {key: statistics.mean(result[key] for result in kept) for key in (*MEASURES, "seconds", "gb")}
        compared = {}
        if baseline in names:
            theirs = [bench.result(baseline, seed)["gap"] for seed in seeds]
            gains = [a - b for a, b in zip(gaps, theirs)]
            ratio = mean["gap"] / statistics.mean(theirs)
            compared = {"baseline": baseline, "baseline_value": statistics.mean(theirs), "ratio": ratio}
        unit = f"GAP; Hit@1 {mean['hit_at_one']:.3f}, PERR {mean['perr']:.3f}, MAP {mean['map']:.3f}"
        row = {
            **report.row(name, mean["gap"], unit, spread=report.error(gaps), **compared),
            **mean,
            "parameters": kept[0]["parameters"],
        }
        row["seeds"] = {measure: [result[measure] for result in kept] for measure in MEASURES}
        if compared:
            row |= {"gain": statistics.mean(gains), "gain_spread": report.error(gains)}
        rows.append(row)
    return rows


def show_published():
    """Prints what the starter code reaches."""
    rows = []
    for row in json.loads(PUBLISHED.read_text(encoding="utf-8"))["rows"]:
        test = row["test"]
        unit = f"GAP; Hit@1 {test['hit_at_one']:.3f}, PERR {test['perr']:.3f}, MAP {test['map']:.3f}"
        rows.append(report.row(f"{row['name']}, 7,392 other videos", test["gap"], unit))
        rows.append(report.row(f"{row['name']}, 0070-0079", row["validation"]["gap"], "GAP"))
    report.show("The starter code, trained on 0000-0069, one seed, the checkpoint that is best on 0070-0079", rows)


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--eval_data", help="judge on these shards instead, by the same models")
    parser.add_argument("--work", help="folder of the runs; what is there is not run again. Default: a temporary one")
    parser.add_argument(
        "--only", nargs="+", choices=[*ROWS, "plain", "beyond"], default=[name for name in ROWS if name not in CARRIED]
    )
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    shards = sorted(glob.glob(os.path.join(os.path.abspath(options.data or ""), "*.tfrecord")))
    if len(shards) < 8:
        parser.error(f"--data={options.data}: {len(shards)} files *.tfrecord; expected at least 8 video-level shards.")
    groups, shorter, last = {"plain": list(PLAINLY), "beyond": [RECIPE, *CARRIED]}, {}, len(shards) // 8
    names = list(dict.fromkeys(name for given in options.only for name in groups.get(given, [given])))
    if options.quick:
        names, shorter, options.seeds = names[:2], {"max_steps": 40}, 1
    judged = os.path.abspath(options.eval_data) if options.eval_data else ",".join(shards[-last:])
    seeds = range(1, options.seeds + 1)
    with contextlib.ExitStack() as stack:
        folder = options.work or stack.enter_context(tempfile.TemporaryDirectory())
        bench = Bench(folder, ",".join(shards[:-last]), judged, shorter)
        for name in names:
            for seed in seeds:
                bench.run(name, seed)
        rows = rows_of(bench, names, seeds)
    where = options.eval_data or f"the last {last} of {len(shards)} shards"
    report.show(f"YouTube-8M video level, judged on {where}, {options.seeds} seeds, {bench.version}", rows)
    show_published()
    if options.json:
        told = {"code": bench.version, "seeds": options.seeds, "judged_on": where, "quick": options.quick}
        write_text(options.json, json.dumps({"machine": report.machine(), **told, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
