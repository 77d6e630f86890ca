"""Frame-level models on real data: AudioSet's balanced training set, cross-validated, beside what others published for it.

22,160 clips of 10 frames of 128 bytes, 527 classes (https://research.google.com/audioset/download.html, "bal_train"). The shards
are 8 folds, as --folds=8 counts them: each is judged by models trained on the other seven, with the weights of their last step.
Every row is configs/audioset.flags with the flags that audioset_rows.py names for it. mAP, AUC and d' are means over the classes
that occur in a fold, d' of the mean AUC, as in Kong et al. 2019.

  python benchmarks/audioset.py --data DIR --work DIR           the page's rows, 8 folds, 1 seed; of --work nothing is run again
  python benchmarks/audioset.py --data DIR --work DIR --only all        every row but those that the recipe may take next
  python benchmarks/audioset.py --data DIR --work DIR --folds 2 --only candidates      what the recipe may take next
  python benchmarks/audioset.py --data DIR --work DIR --folds 2 --only beyond networks mixtures    docs/beyond.md's, carried over
  python benchmarks/audioset.py --data DIR --work DIR --eval_data 'DIR/eval*'   trained on all of DIR, judged on another set
"""

import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import statistics
import tempfile
import time

import keras
import numpy as np
import report
from audioset_rows import CANDIDATES, CARRIED, MIXTURES, NETWORKS, ROWS, TABLE
from scipy.stats import norm

import yt8m
from yt8m import flags
from yt8m.files import write_text
from yt8m.metrics import auc, global_average_precision, mean_average_precision
from yt8m.readers.batches import evaluation_batches
from yt8m.training.data import video_spec
from yt8m.training.predict import make_predict

FOLDS = 8
PUBLISHED = pathlib.Path(__file__).with_name("audioset_published.json")
GOALS = {"audioset": 0.35, "ensemble": 0.365}  # in cross-validation: .29 and .305 on the official evaluation set


class Fold:
    """A part of the clips to judge by, and the others to train on.

    Args:
        number: 0 to FOLDS - 1, or None: trained on all (the run is kept, for other sets), judged on `eval_data`.
        shards: paths of the training set's shards.
        eval_data: pattern of another set, or None.
    """

    def __init__(self, number, shards, eval_data=None):
        self.number, self.name = number, "all" if number is None else f"fold{number}"
        judged = [] if number is None else shards[number::FOLDS]
        self.train = ",".join(path for path in shards if path not in judged)
        self.judged = eval_data or ",".join(judged)
        self.scores = re.sub(r"\W+", "-", f"scores {os.path.basename(eval_data or '')}").strip("-") + ".npy"

    @property
    def facts(self):
        """What a line of results.jsonl says of it."""
        return {"fold": self.name, "judged": os.path.basename(self.judged)}


class Bench:
    """Runs in a folder: each is kept as the scores of its fold's clips and a line of results.jsonl.

    Args:
        folder: of the runs.
        shorter: flags over every row's (of --quick).
    """

    def __init__(self, folder, shorter=None):
        self.folder, self.shorter, self.version = pathlib.Path(folder), shorter or {}, report.version_of_code()
        self.path = self.folder / "results.jsonl"
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        self.results = [result for result in map(json.loads, lines) if result["code"] == self.version]

    def result(self, name, fold, seed):
        """What was noted of a run of this version of the code, or None."""
        wanted = {"row": name, **fold.facts, "seed": seed}
        return next((kept for kept in self.results if wanted.items() <= kept.items()), None)

    def place(self, name, fold, seed):
        """Folder of a run."""
        return self.folder / self.version / fold.name / f"{name.replace(' ', '_')}-{seed}"

    def run(self, name, fold, seed):
        """Trains and judges a row on a fold, or takes the mean of its members; what was run before is not run again."""
        if self.result(name, fold, seed):
            return
        row, began = ROWS[name], time.monotonic()
        needed = {*row.members, *row.teachers}
        for member in sorted(needed):
            self.run(member, fold, seed)
        place = self.place(name, fold, seed)
        if row.members:
            scores = np.mean([np.load(self.place(member, fold, seed) / fold.scores) for member in row.members], axis=0)
            parameters = sum(self.result(member, fold, seed)["parameters"] for member in row.members)
        else:
            scores, parameters = self.train(row, fold, seed, place)
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / fold.scores, scores)
        kept = {"row": name, **fold.facts, "seed": seed, "code": self.version}
        kept |= {**measured(scores, self.labels(fold)), "parameters": parameters, "seconds": round(time.monotonic() - began)}
        self.results.append(kept)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(kept) + "\n")
        print(f"{fold.name}, seed {seed} | {name}: mAP {kept['map']:.4f}, {kept['seconds']} s", flush=True)

    def train(self, row, fold, seed, place):
        """Trains a row; returns (scores of the fold's clips, parameters)."""
        given = {
            **row.flags,
            **self.shorter,
            "seed": seed + row.other_seed,
            "train_data_pattern": fold.train,
            "train_dir": str(place / "run"),
        }
        if "hyperparameters" in given and "model" not in given:
            given["hyperparameters"] = {**recipe_hyperparameters(row.recipe), **given["hyperparameters"]}
        if row.teachers:
            given["teacher_scores"] = [self.taught(row, fold, seed)]
        keras.utils.clear_session()
        with report.quiet():
            trained = yt8m.train(recipe=row.recipe, **given)
        if trained.stopped:
            raise SystemExit(f"{place / 'run'}: stopped and saved; the same command goes on from there.")
        if row.checkpoints:
            shutil.rmtree(place / "run" / "averaged", ignore_errors=True)
            with report.quiet():
                trained = yt8m.average_checkpoints(
                    train_dir=str(place / "run"), output_dir=str(place / "run" / "averaged"), num_checkpoints=row.checkpoints
                )
        predict = make_predict(trained.model)
        scores = np.concatenate([predict(batch) for batch in clips(trained.config, fold.judged)])
        np.save(self.folder / f"labels-{fold.name}-{fold.scores}", labels_of(trained.config, fold.judged))
        if fold.number is not None and not teaches(row):
            shutil.rmtree(place / "run")
        return scores.astype(np.float32), trained.model.count_params()

    def taught(self, row, fold, seed):
        """Folder of what a row's teachers say, on average, of the clips that it is trained on."""
        folder = self.place("+".join(row.teachers), fold, seed) / "scores"
        if not folder.exists():
            runs = ",".join(str(self.place(teacher, fold, seed) / "run") for teacher in row.teachers)
            with report.quiet():
                yt8m.inference(train_dir=runs, input_data_pattern=fold.train, scores_output=f"{folder}.part", output_file="")
            os.rename(f"{folder}.part", folder)
        return str(folder)

    def labels(self, fold):
        """Whether each of a fold's clips has each class, bool [n, C]."""
        return np.load(self.folder / f"labels-{fold.name}-{fold.scores}")


def teaches(row):
    """Whether the trained model is needed for another row."""
    return any(ROWS[name] is row for student in ROWS.values() for name in student.teachers)


def clips(config, pattern):
    """Batches of all clips, in the order of the files."""
    return evaluation_batches(video_spec(config, pattern), 256, num_parallel=1)


def labels_of(config, pattern):
    """Whether each clip has each class, bool [n, C]."""
    return np.concatenate([batch["labels"].numpy() > 0 for batch in clips(config, pattern)])


def measured(scores, labels):
    """mAP, AUC, d' and GAP of scores [n, C] of clips with labels bool [n, C]."""
    area = np.nanmean([auc(scores[:, column], labels[:, column]) for column in range(labels.shape[1])])
    return {
        "map": mean_average_precision(scores, labels),
        "auc": float(area),
        "d_prime": float(2**0.5 * norm.ppf(area)),
        "gap": global_average_precision(scores, labels),
    }


def recipe_hyperparameters(recipe):
    """The hyper-parameters of a recipe's flag file."""
    return flags.read(flags.TRAIN, {"recipe": recipe}).get("hyperparameters", {})


def rows_of(bench, names, folds, seeds):
    """Rows of the table: of each row that was run the means over folds and seeds, the mAP beside its baseline's."""
    rows = []
    for name in names:
        row, kept = ROWS[name], values_of(bench, name, folds, seeds)
        maps = [result["map"] for result in kept]
        mean = {key: statistics.mean(result[key] for result in kept) for key in ("auc", "d_prime", "gap", "seconds")}
        unit = f"mAP; AUC {mean['auc']:.3f}, d' {mean['d_prime']:.2f}, GAP {mean['gap']:.3f}"
        compared = {}
        if row.baseline in names:
            theirs = [result["map"] for result in values_of(bench, row.baseline, folds, seeds)]
            gains = [a - b for a, b in zip(maps, theirs)]
            ratio = statistics.mean(maps) / statistics.mean(theirs)
            compared = dict(baseline=row.baseline, baseline_value=statistics.mean(theirs), ratio=ratio, goal=row.goal)
            compared |= dict(met=report.reached(row.goal, gains))
        elif name in GOALS:
            goal = GOALS[name]
            compared = dict(goal=f"at least {goal}", met=report.reached("above", [value - goal for value in maps]))
        line = report.row(name, statistics.mean(maps), unit, spread=report.error(maps), **compared)
        line |= {"maps": maps, **mean, "parameters": kept[0]["parameters"]}
        if row.baseline in names:
            line |= {"gain": statistics.mean(gains), "gain_spread": report.error(gains)}
        rows.append(line)
    return rows


def values_of(bench, name, folds, seeds):
    """The results of a row, fold by fold and seed by seed."""
    return [bench.result(name, fold, seed) for fold in folds for seed in seeds]


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--eval_data", help="judge on these shards, by models trained on all of --data")
    parser.add_argument("--work", help="folder of the runs; what is there is not run again. Default: a temporary one")
    parser.add_argument(
        "--only", nargs="+", choices=[*ROWS, "all", "candidates", "beyond", "networks", "mixtures"], default=list(TABLE)
    )
    parser.add_argument("--folds", type=int, default=FOLDS, help=f"how many of the {FOLDS} folds are judged")
    parser.add_argument("--numbers", type=int, nargs="+", choices=range(FOLDS), help="folds that are judged, in place of --folds")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    shards = sorted(glob.glob(os.path.join(options.data or "", "bal_train*")))
    if len(shards) < FOLDS:
        parser.error(f"--data={options.data}: {len(shards)} files bal_train*; expected at least {FOLDS}, AudioSet's shards.")
    groups = {"candidates": ["audioset", *CANDIDATES], "beyond": list(CARRIED), "mixtures": list(MIXTURES)}
    groups["networks"] = [*(row.baseline for row in NETWORKS.values()), *NETWORKS]
    groups["all"] = [name for name in ROWS if name not in (*CANDIDATES, *CARRIED, *NETWORKS, *MIXTURES)]
    names = list(dict.fromkeys(name for given in options.only for name in groups.get(given, [given])))
    shorter = {"max_steps": 100} if options.quick else None
    if options.quick:
        names, options.folds, options.numbers, options.seeds = names[:2], 1, None, 1
    folds = [Fold(number, shards) for number in options.numbers or range(options.folds)]
    if options.eval_data:
        folds = [Fold(None, shards, options.eval_data)]
    seeds = range(1, options.seeds + 1)
    with contextlib.ExitStack() as stack:
        bench = Bench(options.work or stack.enter_context(tempfile.TemporaryDirectory()), shorter)
        for fold in folds:
            for seed in seeds:
                for name in names:
                    bench.run(name, fold, seed)
        rows = rows_of(bench, names, folds, seeds)
    where = options.eval_data or f"{len(folds)} of {FOLDS} folds"
    report.show(f"AudioSet's balanced training set, {where}, {options.seeds} seed(s), {bench.version}", rows)
    show_published()
    if options.json:
        told = {"code": bench.version, "folds": len(folds), "seeds": options.seeds, "judged_on": where, "quick": options.quick}
        write_text(options.json, json.dumps({"machine": report.machine(), **told, "rows": rows}, indent=1) + "\n")


def show_published():
    """Prints what others published."""
    rows = json.loads(PUBLISHED.read_text(encoding="utf-8"))["rows"]
    shown = [report.row(row["name"], row["map"], f"mAP; {row['trained_on']}; {row['source']}") for row in rows]
    report.show("Published, official evaluation set (cross-validation reads about .06 higher)", shown)


if __name__ == "__main__":
    main()
