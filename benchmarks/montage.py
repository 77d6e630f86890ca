"""Do the papers' orderings come out where the truth is known? Montages of real videos, over several seeds.

Montages (benchmarks/montages.py) are made once from a folder of YouTube-8M's video-level shards, of disjoint sources for
training, rated, held-out and test montages. Every row of a group has the same recipe and the same number of steps, all of them in
benchmarks/montage_rows.py, chosen without the test part. A row is trained and measured once for each seed: what
is done is kept in the work folder and not done again by the same version of the code; rows of other versions are not looked at.

  python benchmarks/montage.py --data DIR                            all groups, 3 seeds; not yet run whole, hours on two cores
  python benchmarks/montage.py --data DIR --only phases context      some of them
  python benchmarks/montage.py --data DIR --json FILE                the rows, with each seed's values
  python benchmarks/montage.py --data DIR --quick                    tiny montages, a few steps, one seed: minutes
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys

import report

from yt8m.files import write_text

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUICK = dict(num_train_videos=40, num_rated_videos=24, num_held_out_videos=16, num_test_videos=24, num_classes=20,
             num_segment_classes=8, lengths=(30, 40, 50, 60, 60))  # fmt: skip
QUICK_GROUPS = ("phases", "context", "ensemble")


def version_of_code():
    """The commit, with "+" where files differ from it."""

    def git(*arguments):
        return subprocess.run(["git", "-C", REPOSITORY, *arguments], capture_output=True, text=True).stdout.strip()

    commit = git("rev-parse", "--short=10", "HEAD")
    return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "") if commit else "unknown"


# ---------------------------------------------------------------- groups: what is trained; each yields (row, compared with, goal)


def pretrained(key):
    return f"{key}, pre-trained"


def both_stages(runs, *keys, **changes):
    """Pre-trained and fine-tuned; the latter's row is the key itself."""
    for key in keys:
        runs.train(pretrained(key), key, "pretrain")
        runs.train(key, key, start=pretrained(key), **changes)


def phases(runs):
    """Pre-training against fine-tuning, attention against multi-attention (papers 000, 001)."""
    keys = ("logistic", "attention", "multi-attention")
    both_stages(runs, *keys)
    yield from ((key, pretrained(key), "above (001)") for key in keys)
    yield "attention", "logistic", "above (001)"
    yield "multi-attention", "attention", "not below (001)"


def context(runs):
    """Context-agnostic, context-aware with the same encoders, and their mean (paper 002)."""
    from montage_rows import LONGER

    start = pretrained("gated DBoF")
    runs.train(start, "gated DBoF", "pretrain")
    runs.train("context-agnostic", "gated DBoF", start=start, max_steps=LONGER)
    encoders = dict.fromkeys(("context_checkpoint", "segment_checkpoint"), start)
    runs.train("context-aware", "context-aware", checkpoints=encoders, max_steps=LONGER)
    runs.mean("agnostic + aware", ["context-agnostic", "context-aware"])
    yield "context-aware", "context-agnostic", "above (002)"
    yield "agnostic + aware", "context-agnostic", "above (002)"
    yield "agnostic + aware", "context-aware", "above (002)"


def ensemble(runs):
    """The mean of three kinds of models, and weights a class that are fitted on the held-out montages."""
    from montage_rows import TEACHERS

    both_stages(runs, *TEACHERS)
    runs.mean("ensemble of three, mean", TEACHERS)
    runs.fitted("ensemble of three, fitted", TEACHERS)
    for key in TEACHERS:
        yield "ensemble of three, mean", key, "above (all)"
    yield "ensemble of three, fitted", "ensemble of three, mean", ""


def expectation_maximisation(runs):
    """NeXtVLAD without and with one and two iterations of EM, with both priors (paper 004)."""
    from montage_rows import EM_THRESHOLD

    runs.expectation_maximisation("NeXtVLAD", EM_THRESHOLD)
    for prior in ("prior", "no prior"):
        yield f"NeXtVLAD, EM 1, {prior}", "NeXtVLAD, EM 0", "above (004)"
        yield f"NeXtVLAD, EM 2, {prior}", f"NeXtVLAD, EM 1, {prior}", "not below (004)"


def heads(runs):
    """Softmax and sparsemax, logistic and mixture of experts (papers 000, 001)."""
    keys = ("attention", "attention, sparsemax", "attention, MoE", "attention, sparsemax, MoE")
    multi = ("multi-attention", "multi-attention, sparsemax", "multi-attention, MoE")
    both_stages(runs, *keys, *multi)
    yield from ((key, "attention", "") for key in keys[1:])
    yield from ((key, "multi-attention", "") for key in multi[1:])


def baselines(runs):
    """The baselines of papers 000 and 001."""
    keys = ("CNN", "DBoF", "NetVLAD", "GRU", "NeXtVLAD")
    both_stages(runs, "multi-attention", *keys)
    yield from (("multi-attention", key, "above (001)") for key in keys[:4])
    yield "NeXtVLAD", "logistic", "above (004)"


def joint(runs):
    """NetVLAD with and without context, trained jointly (paper 003)."""
    from montage_rows import LONGER

    start = pretrained("NetVLAD")
    runs.train(start, "NetVLAD", "pretrain")
    runs.train("NetVLAD, context-ignoring", "NetVLAD", start=start, max_steps=LONGER)
    encoders = dict.fromkeys(("context_checkpoint", "segment_checkpoint"), start)
    runs.train("NetVLAD, joint", "joint", checkpoints=encoders, max_steps=LONGER)
    yield "NetVLAD, joint", "NetVLAD, context-ignoring", "above (003)"


def sequences(runs):
    """Models of the whole video (paper 004)."""
    keys = ("BiGRU", "Transformer, early fusion", "Transformer, late fusion")
    runs.train(pretrained("logistic"), "logistic", "pretrain")
    both_stages(runs, "logistic", *keys)
    yield from ((key, "logistic", "above (004)") for key in keys)


def student(runs):
    """A compact student of the ensemble of three (the talk's future work)."""
    from montage_rows import DISTILLATION_WEIGHT, LONGER, STUDENT, TEACHERS

    name = "student of the ensemble"
    both_stages(runs, *TEACHERS)
    runs.mean("ensemble of three, mean", TEACHERS)
    runs.train("student alone", STUDENT, start=pretrained(STUDENT), max_steps=LONGER)
    if name not in runs.rows:
        folders = []
        for number, teacher in enumerate(TEACHERS):
            folders.append(runs.path(f"teacher-{number}"))
            runs.store(teacher, runs.made.rated_pattern, folders[-1])
        runs.train(name, STUDENT, start=pretrained(STUDENT), max_steps=LONGER, teacher_scores=tuple(folders),
                   distillation_weight=DISTILLATION_WEIGHT)  # fmt: skip
    yield name, "student alone", "above"
    yield name, "ensemble of three, mean", ""


def everything(runs):
    """The mean of all kinds of models, of what is there."""
    keys = ("attention", "multi-attention", "context-agnostic", "context-aware", "CNN", "DBoF", "NetVLAD", "NeXtVLAD")
    members = [key for key in keys if key in runs.rows]
    if len(members) == len(keys):
        runs.mean("ensemble of eight, mean", members)
        runs.fitted("ensemble of eight, fitted", members)
        yield from (("ensemble of eight, mean", key, "above (all)") for key in members)
        yield "ensemble of eight, fitted", "ensemble of eight, mean", ""


def start_times(runs):
    """Start-time supervision of the attention (the talk's future work)."""
    from montage_rows import START_TIME_WEIGHT

    for key in ("attention", "multi-attention"):
        runs.train(pretrained(key), key, "pretrain")
        runs.train(key, key, start=pretrained(key))
        runs.train(f"{key}, start-time loss", key, start=pretrained(key), start_time_weight=START_TIME_WEIGHT)
        yield f"{key}, start-time loss", key, ""


def sets(runs):
    """How many sets of attention, and sets that are kept apart."""
    from montage_rows import OVERLAP_PENALTIES, SETS

    both_stages(runs, "multi-attention")
    for number in SETS:
        name = f"multi-attention, {number} sets"
        runs.train(pretrained(name), "multi-attention", "pretrain", hyperparameters={"num_sets": number})
        runs.train(name, "multi-attention", start=pretrained(name), hyperparameters={"num_sets": number})
        yield pretrained(name), pretrained("multi-attention"), ""
        yield name, "multi-attention", ""
    for penalty in OVERLAP_PENALTIES:
        name, apart = f"multi-attention, overlap penalty {penalty:g}", {"overlap_penalty": penalty}
        runs.train(pretrained(name), "multi-attention", "pretrain", hyperparameters=apart)
        runs.train(name, "multi-attention", start=pretrained(name), hyperparameters=apart)
        yield pretrained(name), pretrained("multi-attention"), ""
        yield name, "multi-attention", ""


def precision(runs):
    """The same trainings with products in bfloat16, as --precision=auto has them on CPUs that multiply it faster."""
    keys, bfloat16 = ("attention", "multi-attention", "gated DBoF"), {"precision": "mixed_bfloat16"}
    both_stages(runs, *keys)
    for key in keys:
        name = f"{key}, bfloat16"
        runs.train(pretrained(name), key, "pretrain", hyperparameters=bfloat16)
        runs.train(name, key, start=pretrained(name), hyperparameters=bfloat16)
        yield name, key, "not below"


def mixtures(runs):
    """Mixtures of NeXtVLADs with and without on-line distillation, and as many separate ones (third place)."""
    none, branches = "mixture, no distillation", ("branch 1", "branch 2", "branch 3")
    runs.train(pretrained("mixture"), "mixture", "pretrain", loss=none)
    for row in ("mixture", none):
        runs.train(row, "mixture", start=pretrained("mixture"), loss=row)
    for number, branch in enumerate(branches, start=1):
        runs.train(pretrained(branch), "branch", "pretrain", seed=runs.seed + 10 * number)
        runs.train(branch, "branch", start=pretrained(branch), seed=runs.seed + 10 * number)
    runs.mean("three branches, mean", branches)
    yield "mixture", none, "above (3rd)"
    yield "mixture", "three branches, mean", "above (3rd)"
    yield none, "three branches, mean", ""


def beyond(runs):
    """Of the systems that ranked above: SoftDBoF, softmax with a dustbin, the second place's loss, averages of weights, folds."""
    from montage_rows import CONSTANT, FOLDS, KEPT_CHECKPOINTS, RUNNING_AVERAGE, RUNS_OF_FRAMES

    both_stages(runs, "logistic", "attention", "gated DBoF", "soft DBoF")
    name = "soft DBoF, runs of 5 frames"
    runs.train(pretrained(name), "soft DBoF", "pretrain", hyperparameters=RUNS_OF_FRAMES)
    runs.train(name, "soft DBoF", start=pretrained(name))
    yield "soft DBoF", "gated DBoF", ""
    yield name, "soft DBoF", ""
    for name in ("softmax MLP", "softmax MLP, complement"):
        runs.train(name, "softmax MLP", loss=name)
        yield name, "logistic", ""
    for key in ("attention", "soft DBoF"):
        start, constant, kept = pretrained(key), f"{key}, constant rate", f"{key}, checkpoints kept"
        runs.train(f"{key}, second place's loss", key, start=start, loss="second place's")
        runs.train(constant, key, start=start, **CONSTANT)
        runs.train(f"{key}, running average", key, start=start, **RUNNING_AVERAGE)
        runs.train(kept, key, start=start, **KEPT_CHECKPOINTS)
        runs.averaged(f"{key}, mean of checkpoints", kept)
        folds = [f"{key}, fold {fold}" for fold in range(FOLDS)]
        for fold, row in enumerate(folds):
            runs.train(row, key, start=start, folds=FOLDS, fold=fold)
        runs.mean(f"{key}, mean of {FOLDS} folds", folds)
        yield f"{key}, second place's loss", key, ""
        for row in (constant, f"{key}, running average", f"{key}, mean of checkpoints", f"{key}, mean of {FOLDS} folds"):
            yield row, key, ""
        yield f"{key}, mean of checkpoints", f"{key}, running average", ""


GROUPS = {
    "phases": phases,
    "context": context,
    "ensemble": ensemble,
    "em": expectation_maximisation,
    "heads": heads,
    "baselines": baselines,
    "joint": joint,
    "everything": everything,
    "student": student,
    "start_times": start_times,
    "sets": sets,
    "precision": precision,
    "sequences": sequences,
    "beyond": beyond,
    "mixtures": mixtures,
}
KEPT = {  # runs whose checkpoints later groups start from
    *(name for key in ("logistic", "attention", "multi-attention", "gated DBoF", "NetVLAD") for name in (key, pretrained(key))),
}

# ---------------------------------------------------------------- the table


def error(values):
    """Standard error of the mean, None of a single value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def reached(goal, gains):
    """Whether an order came out by more than two standard errors of the gains; None: no goal, or a single seed."""
    if not goal or len(gains) < 2:
        return None
    gain, margin = statistics.mean(gains), 2 * error(gains)
    return gain > -margin if goal.startswith("not") else gain > margin


MEASURES = ("map", "auc", "held_out_map", "map_all", "smoothed", "video_mean", "within")


def rows_of(records, comparisons, seeds):
    """Rows of the table.

    Args:
        records: {(row, seed): record}; comparisons: (row, compared with, goal); seeds: that every row of the table has.

    Returns:
        rows of report.show, each with its seeds' values and measures; a row that lacks a seed is left out.
    """
    rows, shown = [], set()

    def values(name, measure="map"):
        return [records[name, seed][measure] for seed in seeds]

    def add(name, baseline="", goal=""):
        if any((row, seed) not in records for row in (name, baseline) if row for seed in seeds):
            return
        ours, more = values(name), {}
        if baseline:
            theirs = values(baseline)
            gains = [a - b for a, b in zip(ours, theirs)]
            certainty = f"{statistics.mean(gains):+.4f}" + (f" ±{error(gains):.4f}" if len(gains) > 1 else "")
            more = dict(gain=statistics.mean(gains), gain_spread=error(gains))
            row = report.row(name, statistics.mean(ours), f"MAP ({certainty})", baseline, statistics.mean(theirs), None, goal,
                             reached(goal, gains), error(ours))  # fmt: skip
        else:
            row = report.row(name, statistics.mean(ours), "MAP", spread=error(ours))
        of_seeds = [records[name, seed] for seed in seeds]
        measures = {measure: statistics.mean(values(name, measure)) for measure in MEASURES}
        for what in ("localization", "attention"):
            if what in of_seeds[0]:
                measures[what] = {key: statistics.mean(of[what][key] for of in of_seeds) for key in of_seeds[0][what]}
        for what in ("parameters", "seconds", "cpu_seconds", "sets_alive", "num_labels", "precision"):
            if of_seeds[0].get(what) is not None:
                measures[what] = statistics.mean(of[what] for of in of_seeds)
        rows.append({**row, **more, "group": of_seeds[0]["group"], "seeds": ours, "measures": measures})
        shown.add(name)

    for name, baseline, goal in comparisons:
        if baseline not in shown:
            add(baseline)
        add(name, baseline, goal)
    return rows


# ---------------------------------------------------------------- the command


def comparisons_of(groups):
    """What the groups compare, without training anything."""

    class Nothing:
        """A Runs that does nothing."""

        rows, seed = type("All", (), {"__contains__": lambda self, name: True})(), 1

        def __getattr__(self, name):
            return lambda *arguments, **options: ""

    return [comparison for name in groups for comparison in GROUPS[name](Nothing())]


def settings_of(options):
    """montages.Settings of the command's flags."""
    import montages

    return montages.Settings(**QUICK) if options.quick else montages.Settings()


def run_group(options, group, seed):
    """One group of one seed; in a process of its own, whose memory goes with it."""
    import montage_files
    import montage_runs

    made = montage_files.ensure_montages(options.work, options.data, settings_of(options))
    runs = montage_runs.Runs(options.work, made, f"{version_of_code()} {made.key}", seed, options.quick)
    runs.group = group
    list(GROUPS[group](runs))
    runs.drop(*KEPT)  # in the end: what a later group needs and is not kept is trained again


def train_group(options, group, seeds):
    """A group of rows, a process a seed; one that fails is said, and the others go on."""
    flags = [f"--data={options.data}", f"--work={options.work}", *(["--quick"] if options.quick else [])]
    for seed in range(1, seeds + 1):
        command = [sys.executable, os.path.abspath(__file__), *flags, "--run", group, str(seed)]
        code = subprocess.run(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}).returncode
        if code:
            print(f"{group}, seed {seed}: ended with {code}; its rows are left out.", flush=True)


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--work", default="montage_work", help="folder of montages, checkpoints, scores and rows")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=f"groups of rows: {', '.join(GROUPS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="train nothing: the table of what is done")
    parser.add_argument("--version", help="with --table: rows of this version of the code, a commit; default: of this one")
    parser.add_argument("--run", nargs=2, metavar=("GROUP", "SEED"), help="one group of one seed, without a table")
    options = parser.parse_args()
    if not options.data:
        parser.error("--data: name a folder of YouTube-8M's video-level shards (*.tfrecord)")
    if options.version and not options.table:
        parser.error(f"--version={options.version}: only with --table; other rows are of this version")
    if options.run:
        run_group(options, options.run[0], int(options.run[1]))
        return
    groups = options.only or (QUICK_GROUPS if options.quick else tuple(GROUPS))
    seeds = 1 if options.quick else options.seeds
    import montage_files
    import montage_runs
    import montage_statistics

    made = montage_files.ensure_montages(options.work, options.data, settings_of(options))
    for group in () if options.table else groups:
        train_group(options, group, seeds)
    facts = montage_statistics.ensure_facts(made, options.data, settings_of(options), quick=options.quick)
    montage_statistics.show(facts)
    version = f"{options.version or version_of_code()} {made.key}"
    records = montage_runs.read_rows(options.work, version)
    if options.version and not records:
        parser.error(f"--version={options.version}: no row of it in {options.work}. Name a commit as rows.jsonl has it.")
    rows = [report.row(name, facts[key], "MAP") for name, key in montage_statistics.CEILINGS.items() if key in facts]
    rows += rows_of(records, comparisons_of(GROUPS), range(1, seeds + 1))
    missing = {name for name, _, _ in comparisons_of(groups) for seed in range(1, seeds + 1) if (name, seed) not in records}
    if missing:
        print(f"Not there yet for all {seeds} seeds, and left out: {', '.join(sorted(missing))}.", flush=True)
    report.show(f"Montages, test part, {seeds} seeds, version {version}", rows, options.json)
    if options.json:
        with open(options.json, encoding="utf-8") as file:
            written = json.load(file)
        settings = dataclasses.asdict(settings_of(options))
        more = {"version": version, "settings": settings, "facts": facts, "measured": montage_statistics.MEASURED}
        write_text(options.json, json.dumps({**written, **more}, indent=1))


if __name__ == "__main__":
    main()
