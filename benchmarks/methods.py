"""Do the papers' orderings come out? MAP on the rated segments of the built-in sample's test videos, over several seeds.

Every method starts from the same pre-trained models as its baseline, which is run with the same seeds; the table shows means,
the standard error, the mean difference with its own standard error, and whether the ordering that a paper reports came out
by more than two of these. Settings are the recipes of the sample. What chooses, the folds of EM, chooses on rated training
videos; nothing is chosen on the test videos.

  python benchmarks/methods.py                               all groups, medium sample, 3 seeds: hours on two cores
  python benchmarks/methods.py --only phases augmentation    some of them
  python benchmarks/methods.py --only beyond rankers candidates    docs/beyond.md's, and "trainings", "mixtures": see GROUPS
  python benchmarks/methods.py --json docs/results/FILE      the rows, with each seed's values
"""

import dataclasses
import os
import statistics
import tempfile
import time
from collections import defaultdict

import keras
import methods_beyond
import methods_trainings
import numpy as np
import report

from yt8m import config, recipes
from yt8m.cli.pseudo_labels import COMMAND as PSEUDO_LABELS
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.readers.ratings import read_ratings
from yt8m.readers.stores import open_store
from yt8m.sample.sample import ensure_sample
from yt8m.scoring import infer, scan
from yt8m.stages import by_name, em
from yt8m.training import restore

ATTENTION, MULTI, DBOF, LOGISTIC = "AttentionModel", "MultiAttentionModel", "GatedDbofModel", "FrameLevelLogisticModel"
STUDENT = {"video_level_classifier_model": "LogisticModel"}  # configs/student.flags
KEPT = 0.98  # share of the ensemble's MAP that a student is to keep
# Augmentations of fine-tuning, and of pre-training where they need whole videos.
AUGMENTATIONS = {
    "virtual_segments": ("finetune", 0.4),
    "reverse": ("finetune", 0.5),
    "drop_frames": ("finetune", 0.2),
    "noise": ("finetune", 0.3),
    "drop_segments": ("pretrain", 0.3),
    "subsample": ("pretrain", 2),
}


class RatedPairs:
    """The rated (segment, class) pairs of the sample's test videos.

    Args:
        sample: Sample.

    Attributes:
        classes, labels: [n] of the pairs.
    """

    def __init__(self, sample):
        ratings = read_ratings(sample.test_ratings_pattern)
        self.sample, self.classes, self.labels = sample, ratings.classes, (ratings.scores > 0).astype(np.float32)
        self._places = defaultdict(list)  # segment id -> its pairs
        for place, segment in enumerate(ratings.segment_ids.tolist()):
            self._places[segment].append(place)

    def scores(self, model, model_config):
        """What a model says of them, float32 [n]."""
        scorer = infer.Scorer([infer.Member(model, model_config, name="the model")])
        chosen, keep = self._kept(scorer.label_ids)
        with report.quiet():
            scan.Scan(scorer, scan.Job(self.sample.test_pattern, "kept here")).run(keep)
        assert np.isfinite(chosen).all()
        return chosen

    def scores_of_store(self, folder):
        """What a store of the test videos' segments says of them, float32 [n]."""
        store = open_store(folder)
        chosen, keep = self._kept(store.config.label_ids)
        for stored in map(store.read, store.shards()):
            keep(stored.ids, stored.starts, stored.scores())
        assert np.isfinite(chosen).all()
        return chosen

    def _kept(self, label_ids):
        """(float32 [n], function of the ids, starts and scores of segments that puts those of the pairs there)."""
        column = {label: index for index, label in enumerate(label_ids)}
        chosen = np.full(len(self.classes), np.nan, np.float32)

        def keep(ids, starts, scores):
            for row, (video, start) in enumerate(zip(ids, starts)):
                for place in self._places.get(f"{video}:{start}", ()):
                    chosen[place] = scores[row, column[self.classes[place]]]

        return chosen, keep


class Seed:
    """All runs of one seed: folders in a temporary folder, scores of the test set's pairs by a model's name."""

    def __init__(self, seed, test_set, folder):
        self.seed, self.sample, self.folder = seed, test_set.sample, os.path.join(folder, str(seed))
        self.test_set, self.scores, self.maps, self.configs = test_set, {}, {}, {}
        self.precisions = {}  # of each row whose scores are known: average precision of each class, nan without positives

    def path(self, name):
        """Folder of a run."""
        return os.path.join(self.folder, name)

    def model(self, model, hyperparameters=None):
        """ModelConfig of a model on the sample."""
        values = {**recipes.small(model), **(hyperparameters or {})}
        return config.ModelConfig(model, values, num_classes=self.sample.num_classes, sample=self.sample.size)

    def stage(self, model, stage, name="", **changes):
        """TrainConfig of a stage with the recipe of the sample."""
        pattern = self.sample.rated_pattern if stage == "finetune" else self.sample.train_pattern
        values = {**recipes.recipe(model, stage, sample=True), "save_steps": 10**6, "log_steps": 100, "seed": self.seed}
        values |= changes
        return config.TrainConfig(self.path(name), stage, values.pop("data_pattern", pattern), **values)

    def run(self, name, model, stage="finetune", start="", hyperparameters=None, options=None, **changes):
        """Trains `name`, once; start names the run it starts from."""
        if name in self.maps:
            return
        began = time.monotonic()
        model_config = dataclasses.replace(self.model(model, hyperparameters), **(options or {}))
        if start:
            changes["init_checkpoint"] = self.path(start)
        keras.utils.clear_session()
        with report.quiet():
            trained = by_name.FUNCTIONS[stage](self.stage(model, stage, name, **changes), model_config)
        self.configs[name] = model_config
        self.judge(name, trained, model_config, time.monotonic() - began)

    def judge(self, name, model, model_config, seconds):
        """Notes what a model says of the test set's pairs."""
        self.scores[name] = self.test_set.scores(model, model_config)
        self.note(name, self.scores[name], f"{seconds:.0f} s")

    def note(self, name, scores, how):
        """MAP of scores of the test set's pairs."""
        pairs = self.test_set
        metrics = segment_metrics_from_pairs(pairs.classes, scores, pairs.labels, self.sample.num_classes)
        self.maps[name], self.precisions[name] = metrics["map"], metrics["class_average_precisions"]
        print(f"seed {self.seed} | {name}: {self.maps[name]:.4f} ({how})", flush=True)

    def mean(self, name, names):
        """The mean of models that were run."""
        self.note(name, np.mean([self.scores[member] for member in names], axis=0), "mean")


def phases(runs):
    """Pre-training against fine-tuning, attention against multi-attention."""
    for model in (LOGISTIC, ATTENTION, MULTI):
        runs.run(f"{model}, pre-trained", model, "pretrain")
        runs.run(f"{model}, fine-tuned", model, start=f"{model}, pre-trained")
    yield from ((f"{m}, fine-tuned", f"{m}, pre-trained", "above (001)") for m in (LOGISTIC, ATTENTION, MULTI))
    yield f"{MULTI}, fine-tuned", f"{ATTENTION}, fine-tuned", "above (001)"


def context(runs, readings=None, **changes):
    """Context-agnostic, context-aware with the same encoders, and their mean (paper 002).

    Args:
        runs: Seed.
        readings: other readings of the context-aware model, {name: hyperparameters}.
        **changes: of fine-tuning.
    """
    start, how = f"{DBOF}, pre-trained", "".join(f", {name}={value}" for name, value in changes.items())
    agnostic, aware = f"{DBOF}, fine-tuned{how}", f"aware{how}"
    runs.run(start, DBOF, "pretrain")
    runs.run(agnostic, DBOF, start=start, **changes)
    encoder = recipes.small(DBOF)
    both = {"context_model": DBOF, "segment_model": DBOF, "context_options": encoder, "segment_options": encoder}
    checkpoints = {f"{part}_checkpoint": runs.path(start) for part in ("context", "segment")}
    runs.run(aware, "ContextAwareModel", hyperparameters=both, **checkpoints, **changes)
    runs.mean(f"agnostic + aware{how}", [agnostic, aware])
    yield aware, agnostic, "above (002)"
    yield f"agnostic + aware{how}", agnostic, "above (002)"
    yield f"agnostic + aware{how}", aware, "above (002)"
    for name, options in (readings or {}).items():
        runs.run(f"{aware}, {name}", "ContextAwareModel", hyperparameters={**both, **options}, **checkpoints, **changes)
        yield f"{aware}, {name}", aware, ""


def expectation_maximisation(runs, model=ATTENTION, threshold=0.9):
    """EM with one model throughout (paper 004)."""
    name = f"EM {model}, threshold {threshold}"
    shards = 8

    def candidate(candidate_name, folder, labels):
        first = runs.stage(model, "mstep" if labels else "pretrain", folder, pseudo_labels=labels)
        finetune = runs.stage(model, "finetune", folder, folds=shards, save_steps=100)
        return em.Candidate(candidate_name, runs.model(model), (first, finetune))

    patterns = runs.sample.train_pattern, runs.sample.rated_pattern
    plan = em.make_plan(runs.path(name), *patterns, candidate, threshold=threshold, folds=shards)
    with report.quiet():
        rows = em.em(plan)
    for row in rows:
        folder = "initial" if not row["iteration"] else f"iteration-{row['iteration']}/{row['name']}"
        trained = restore.newest(os.path.join(plan.train_dir, folder))
        made = f"{row['num_labels']} labels, precision {row['precision']}" if row["iteration"] else "no pseudo-labels"
        print(f"{name}, iteration {row['iteration']}, {row['name']}: {made}", flush=True)
        runs.judge(f"{name}, {row['name']}, iteration {row['iteration']}", trained.model, trained.config, 0)
    for candidate in ("F1", "F2"):
        yield f"{name}, {candidate}, iteration 1", f"{name}, F, iteration 0", "above (004)"
        yield f"{name}, {candidate}, iteration 2", f"{name}, {candidate}, iteration 1", "not below (004)"


def losses(runs):
    """Other losses and supervision of fine-tuning, from the same pre-trained attention model."""
    start, base = f"{ATTENTION}, pre-trained", f"{ATTENTION}, fine-tuned"
    runs.run(start, ATTENTION, "pretrain")
    runs.run(base, ATTENTION, start=start)
    runs.run("sampled negatives (eq. 2)", ATTENTION, start=start, options={"label_loss": "SampledNegativeLoss"})
    runs.run("start-time loss", ATTENTION, start=start, start_time_weight=0.1)
    yield "sampled negatives (eq. 2)", base, ""
    yield "start-time loss", base, ""


def augmentation(runs):
    """Each augmentation on and off, attention model."""
    start, base = f"{ATTENTION}, pre-trained", f"{ATTENTION}, fine-tuned"
    runs.run(start, ATTENTION, "pretrain")
    runs.run(base, ATTENTION, start=start)
    for name, (stage, value) in AUGMENTATIONS.items():
        chosen = {"augmentation": {name: value}}
        if stage == "pretrain":
            runs.run(f"{name}={value}, pre-trained", ATTENTION, "pretrain", **chosen)
            runs.run(f"{name}={value} in pre-training", ATTENTION, start=f"{name}={value}, pre-trained")
            yield f"{name}={value} in pre-training", base, ""
        else:
            runs.run(f"{name}={value} in fine-tuning", ATTENTION, start=start, **chosen)
            yield f"{name}={value} in fine-tuning", base, ""


def pseudo_labels(runs):
    """Pseudo-labels of unlabelled videos blended with the rated segments, and alone (the talk's failed try)."""
    start, base = f"{ATTENTION}, pre-trained", f"{ATTENTION}, fine-tuned"
    runs.run(start, ATTENTION, "pretrain")
    runs.run(base, ATTENTION, start=start)
    scores, folder, pattern = runs.path("scores"), runs.path("pseudo"), runs.sample.train_pattern
    store(runs, base, pattern, scores)
    with report.quiet():
        arguments = {"scores": scores, "data_pattern": pattern, "output_dir": folder, "top": 300}
        arguments["num_classes"] = runs.sample.num_classes
        PSEUDO_LABELS.run([f"--{name}={value}" for name, value in arguments.items()], "yt8m pseudo-labels")
    for share in (0.25, 0.5):
        blend = {"pseudo_labels": folder, "pseudo_data_pattern": pattern, "pseudo_share": share}
        runs.run(f"pseudo-labels, {share:.0%} of a batch", ATTENTION, start=start, **blend)
        yield f"pseudo-labels, {share:.0%} of a batch", base, ""


def distillation(runs):
    """A compact student of an ensemble: attention, multi-attention and gated DBoF."""
    teachers = []
    for model in (ATTENTION, MULTI, DBOF):
        runs.run(f"{model}, pre-trained", model, "pretrain")
        runs.run(f"{model}, fine-tuned", model, start=f"{model}, pre-trained")
        teachers.append(f"{model}, fine-tuned")
    runs.mean("ensemble", teachers)
    pattern, folders = runs.sample.rated_pattern + "," + runs.sample.train_pattern, []
    for number, name in enumerate(teachers):
        folders.append(runs.path(f"teacher-{number}"))
        store(runs, name, pattern, folders[-1])
    runs.run("student, pre-trained", ATTENTION, "pretrain", hyperparameters=STUDENT)
    runs.run("student alone", ATTENTION, start="student, pre-trained", hyperparameters=STUDENT)
    steps = 3000
    runs.run("student of the ensemble", ATTENTION, start="student, pre-trained", hyperparameters=STUDENT,
             teacher_scores=tuple(folders), distillation_weight=0.8, data_pattern=pattern, max_steps=steps)  # fmt: skip
    parameters = restore.build(runs.model(ATTENTION, STUDENT)).count_params()
    print(f"The student has {parameters:,} parameters, {parameters * 4 / 1e6:.1f} MB float32.", flush=True)
    runs.run("student alone, as many steps", ATTENTION, start="student, pre-trained", hyperparameters=STUDENT, max_steps=steps)
    yield "student of the ensemble", "student alone", "above"
    yield "student of the ensemble", "student alone, as many steps", "above"
    yield "student of the ensemble", "ensemble", f"{KEPT:.0%} with {parameters * 4 / 1e6:.0f} MB"


def store(runs, name, pattern, folder):
    """Scores of every segment by a run, as inference.py --scores_output writes them."""
    trained = restore.newest(runs.path(name))
    scorer = infer.Scorer([infer.Member(trained.model, trained.config, name=name)])
    with report.quiet():
        infer.rank_segments(scorer, infer.Job(pattern, scores_output=folder))


# The segment's vector as it was here before it was the authors' code's.
READINGS = {"segment after the ReLU": {"segment_layer": "hidden", "segment_activation": True}}

GROUPS = {
    "phases": phases,
    "context": context,
    # The new layers of a context model start from nothing.
    "context_longer": lambda runs: context(runs, max_steps=1500),
    "context_readings": lambda runs: context(runs, READINGS, max_steps=1500),
    "em": expectation_maximisation,
    "em_lower_threshold": lambda runs: expectation_maximisation(runs, threshold=0.5),
    "em_logistic": lambda runs: expectation_maximisation(runs, LOGISTIC),
    "losses": losses,
    "augmentation": augmentation,
    "pseudo_labels": pseudo_labels,
    "distillation": distillation,
    "beyond": methods_beyond.beyond,
    "rankers": methods_beyond.rankers,
    "class_conditional": lambda runs: methods_beyond.rankers(runs, methods=("--method=attention",)),  # one of the rankers
    "candidates": methods_beyond.candidates,
    "trainings": methods_trainings.trainings,
    "mixtures": methods_trainings.mixtures,
}


def rows_of(seeds, comparisons):
    """Rows of the table: every method once, beside each baseline it is compared with."""
    rows, shown = [], set()
    for name, baseline, goal in comparisons:
        ours, theirs = ([seed.maps[run] for seed in seeds] for run in (name, baseline))
        gains = [a - b for a, b in zip(ours, theirs)]
        mean, base, gain = map(statistics.mean, (ours, theirs, gains))
        if baseline not in shown:
            shown.add(baseline)
            rows.append({**report.row(baseline, base, "MAP", spread=report.error(theirs)), "seeds": theirs})
        shown.add(name)
        certainty = f"{gain:+.4f}" + (f" ±{report.error(gains):.4f}" if len(gains) > 1 else "")
        met = mean / base >= KEPT if goal.startswith(f"{KEPT:.0%}") else report.reached(goal, gains)
        row = report.row(name, mean, f"MAP ({certainty})", baseline, base, mean / base, goal, met, report.error(ours))
        pairs = [(seed.precisions.get(name), seed.precisions.get(baseline)) for seed in seeds]
        worse = report.share_below(*zip(*pairs)) if all(of is not None for pair in pairs for of in pair) else None
        rows.append({**row, "seeds": ours, "gain": gain, "gain_spread": report.error(gains), "worse": worse})
    return rows


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", default="medium", help="of the sample: small, medium or large")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=[name for name in GROUPS if name != "em_logistic"])
    options = parser.parse_args()
    names, count = (["phases"], 1) if options.quick else (options.only, options.seeds)
    sample = ensure_sample("small" if options.quick else options.size)
    comparisons, seeds, test_set = {}, [], RatedPairs(sample)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, count + 1):
            seeds.append(Seed(seed, test_set, folder))
            for name in names:
                for comparison in GROUPS[name](seeds[-1]):
                    comparisons[comparison] = None
    rows = [report.row("chance", sample.test_chance_map, "MAP"), report.row("oracle", sample.test_oracle_map, "MAP")]
    rows += rows_of(seeds, comparisons)
    report.show(f"Training methods, test videos of the built-in sample ({sample.size}), {count} seeds", rows, options.json)


if __name__ == "__main__":
    main()
