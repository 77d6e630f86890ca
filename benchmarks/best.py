"""The best ensemble (configs/ensemble_best.flags) on montages: what its members cost, and a small student of it.

Needs the rows of `montage.py --only ensemble` in the same work folder, of which nothing is trained again. For each seed `yt8m
rerank` ranks some rated montages' segments anew with the seed's members, and they teach the student. Rankers are fitted on rated
pairs, whose class is nearly always somewhere in the video, and say too much of other classes: so what they say is multiplied by
the most that the members say of the class anywhere in the video. Costs are counted in seconds of processor, so that
other processes beside this one count for less; rates are of two test shards of the first seed.

  python benchmarks/best.py --work DIR --json FILE       three seeds
  python benchmarks/best.py --work DIR --json FILE --only costs      or another of PARTS; the other parts' rows in FILE stay
                                                         (localizer: 35 minutes of processor a seed)
"""

import dataclasses
import glob
import json
import os
import shutil
import time

import best_rankers
import beyond
import montage_groups
import montage_rows
import montage_runs
import numpy as np
import report

from yt8m import api
from yt8m.files import replacing, write_text
from yt8m.readers.stores import create_store, open_store
from yt8m.reranking import rankers
from yt8m.scoring import infer
from yt8m.training import restore

STUDENT = "student of the best ensemble"
LARGEST, KEPT = 30, 0.98  # MB of float32 of a student, and its share of the ensemble's MAP
PLAIN = best_rankers.PLAIN
ATTENTION = "best ensemble, --method=attention"
LOCALIZER = "best ensemble, --method=localizer"
PARTS = (
    "student",
    "attention",
    "negatives",
    "as_given",
    "by_segments",
    "lists",
    "pairwise",
    "embedding",
    "class_trees",
    "class_trees_ranks",
    "localizer",
    "costs",
)


def timed(function, *given, **options):
    """(What a function returns, the seconds of processor that it took); what it prints is not shown."""
    began = time.process_time()
    with report.quiet():
        returned = function(*given, **options)
    return returned, time.process_time() - began


def rated(made):
    """The flags of `yt8m rerank` that name ratings and classes."""
    return {
        "references": f"{made.rated_pattern},{made.held_out_pattern}",
        "fit_on": made.held_out_pattern,
        "segment_label_ids_file": made.segment_label_ids_file,
    }


def members(runs):
    """Folders of a seed's members, their checkpoints there; a run that is missing is trained again."""
    montage_groups.both_stages(runs, *montage_rows.TEACHERS)
    for name in montage_rows.TEACHERS:
        runs._made(name)
    return [runs.path(name) for name in montage_rows.TEACHERS]


# ---------------------------------------------------------------- the student


def complete(folder, shards):
    """Whether a folder has the scores of some shards."""
    return os.path.exists(folder) and all(map(open_store(folder).has, shards))


def in_their_videos(teacher, plain, shards):
    """The folder of the scores of a store, times the most that the mean of plain stores has of the class in the video.

    Args:
        teacher: folder of the store; plain: folders of the members' stores; shards: paths of those to write.
    """
    source, members_of, folder = open_store(teacher), [open_store(of) for of in plain], f"{teacher}-in-videos"
    store = create_store(folder, dataclasses.replace(source.config, run={"in_videos": source.config.run}))
    for shard in shards:
        if not store.has(shard):
            stored, mean = source.read(shard), np.mean([of.read(shard).scores() for of in members_of], axis=0)
            firsts = stored.first_rows()
            most = np.repeat(np.maximum.reduceat(mean, firsts, axis=0), np.diff(np.append(firsts, len(mean))), axis=0)
            with store.writer(shard) as writer:
                writer.add(stored.ids, stored.starts, stored.scores() * most)
    return folder


def student(runs):
    """Trains the student of a seed, unless it is there; its record."""
    if STUDENT not in runs.rows:
        teacher, folders = runs.path("best-teacher"), members(runs)
        shards = sorted(glob.glob(runs.made.rated_pattern))[: montage_rows.TAUGHT_SHARDS]
        if not complete(teacher, shards):
            timed(
                api.rerank, recipe="ensemble_best", train_dir=folders, work_dir=runs.path("best"),
                candidates=best_rankers.EVERYTHING, data_pattern=",".join(shards), output_file="", scores_output=teacher,
                video_maximum=0, **rated(runs.made),
            )  # fmt: skip
        teacher = in_their_videos(
            teacher, [os.path.join(runs.path("best"), "data", os.path.basename(of)) for of in folders], shards
        )
        key, recipe = montage_rows.BEST_STUDENT
        teaching = {"teacher_scores": (teacher,), "distillation_weight": montage_rows.DISTILLATION_WEIGHT}
        runs.train(STUDENT, key, start=key, data_pattern=",".join(shards), **teaching, **recipe)
    return runs.rows[STUDENT]


def row(name, of, base="", theirs=(), goal="", met=None, unit="MAP"):
    """A row of report.show of all seeds' values, beside those of `base`."""
    gains = [a - b for a, b in zip(of, theirs)]
    more = dict(gain=float(np.mean(gains)), gain_spread=report.error(gains)) if base else {}
    beside, met = float(np.mean(theirs)) if base else None, None if met is None else bool(met)
    return {
        **report.row(name, float(np.mean(of)), unit, base, beside, None, goal, met, report.error(of)),
        **more,
        "seeds": [float(value) for value in of],
    }


def student_rows(runs_of_seeds, near):
    """Rows of report.show: ensemble, student, and the student's share of the ensemble's MAP, of all seeds."""
    ours = [beyond.best_ensemble(runs, near) for runs in runs_of_seeds]
    plain = [runs.rows[PLAIN]["map"] for runs in runs_of_seeds]
    students = [student(runs) for runs in runs_of_seeds]
    size = students[0]["parameters"] * 4 / 1e6
    shares = [of["map"] / best for of, best in zip(students, ours)]
    gains = [a - b for a, b in zip(ours, plain)]
    return [
        row(PLAIN, plain),
        row(beyond.RECIPE, ours, PLAIN, plain, "above", report.reached("above", gains)),
        row(f"{STUDENT}: MB of float32", [size] * len(ours), goal=f"{LARGEST} or less", met=size <= LARGEST, unit="MB"),
        row(STUDENT, [of["map"] for of in students], beyond.RECIPE, ours),
        row(f"{STUDENT}: share of the ensemble's MAP", shares, goal=f"{KEPT} or more", met=np.mean(shares) >= KEPT, unit=""),
        row(f"{STUDENT}, beside the papers' best ensemble", [of["map"] for of in students], PLAIN, plain),
    ]


def attention_rows(runs_of_seeds, near):
    """Rows of report.show: the ensemble with networks that see frames in place of regressions, fitted on rated pairs alone."""
    asked = beyond.asked_pairs(runs_of_seeds[0].made, rankers.OPTIONS["attention"]["expansion"])
    ours, theirs = ([beyond.best_ensemble(runs, near, pairs) for runs in runs_of_seeds] for pairs in (asked, None))
    gains = [a - b for a, b in zip(ours, theirs)]
    return [row(ATTENTION, ours, beyond.RECIPE, theirs, "above", report.reached("above", gains))]


def ranked(runs, part, flags):
    """best_rankers.map_of a seed by this version, kept."""
    path = os.path.join(runs.path("rankers"), f"{report.version_of_code()} {part}.json")
    if not os.path.exists(path):
        write_text(path, json.dumps({"flags": flags, "map": best_rankers.map_of(runs, **flags)}) + "\n")
    with open(path, encoding="utf-8") as file:
        return json.load(file)["map"]


def ranker_rows(runs_of_seeds, part):
    """Rows of report.show: the ensemble as the command ranks anew the scores that are kept, and with another ranker."""
    name, flags = best_rankers.ROWS[part]
    ours, theirs = zip(*((ranked(runs, part, flags), ranked(runs, "as it is", {})) for runs in runs_of_seeds))
    gains, same = [a - b for a, b in zip(ours, theirs)], f"{best_rankers.SAME}, beside {part}"
    return [row(same, theirs), row(name, ours, same, theirs, "above", report.reached("above", gains))]


def list_rows(runs_of_seeds):
    """Rows of report.show: the same of lists of N places, of which rated segments alone count, beside the members' mean."""
    theirs = [best_rankers.map_of_lists(runs) for runs in runs_of_seeds]
    rows = [row(f"{PLAIN}, lists of N", theirs)]
    for part in ("as_given", "by_segments"):
        name, flags = best_rankers.ROWS[part]
        ours = [best_rankers.map_of_lists(runs, **flags) for runs in runs_of_seeds]
        met = report.reached("above", [a - b for a, b in zip(ours, theirs)])
        rows.append(row(f"{name}, lists of N", ours, f"{PLAIN}, lists of N", theirs, "above", met))
    return rows


def located(runs):
    """({"held_out", "test": float32 [n, 1]}, seconds of processor): beyond.located of a seed by this version, kept."""
    path = runs.path(f"localizer {report.version_of_code()}") + ".npz"
    if not os.path.exists(path):
        found, seconds = timed(beyond.located, runs.made, runs.seed)
        with replacing(path) as file:
            np.savez(file, seconds=seconds, **found)
    with np.load(path) as arrays:
        return {part: arrays[part] for part in arrays if part != "seconds"}, float(arrays["seconds"])


def localizer_rows(runs_of_seeds, near):
    """Rows of report.show: the ensemble whose regressions have the localisers' feature, too; the localisers have the seed's."""
    ours, theirs, seconds = [], [], []
    for runs in runs_of_seeds:
        feature, took = located(runs)
        seconds.append(took)
        ours.append(beyond.best_ensemble(runs, {part: np.concatenate([near[part], feature[part]], axis=1) for part in feature}))
        theirs.append(beyond.best_ensemble(runs, near))
    gains = [a - b for a, b in zip(ours, theirs)]
    minutes = report.row(f"{LOCALIZER}: localisers, trained and asked", np.mean(seconds) / 60, "CPU minutes")
    return [row(LOCALIZER, ours, beyond.RECIPE, theirs, "above", report.reached("above", gains)), minutes]


# ---------------------------------------------------------------- costs


def scorer(runs, names):
    """Scorer of the mean of some rows' models."""
    trained = [restore.newest(runs.path(name)) for name in names]
    of_runs = [infer.Member(of.model, of.config, name=name) for of, name in zip(trained, names)]
    return infer.Scorer(of_runs, label_ids=runs.made.segment_classes)


def score(runs, names, pattern, folder):
    """Segments that one processor second scores, with their store written."""
    shutil.rmtree(folder, ignore_errors=True)
    of_models = scorer(runs, names)
    job = infer.Job(pattern, scores_output=folder, scores_dtype="float16", batch_size=16)
    _, took = timed(infer.rank_segments, of_models, job)
    store = open_store(folder)
    return sum(len(store.read(shard).ids) for shard in store.shards()) / took


def cost_rows(runs):
    """Rows of report.show: what training and scoring take, of each member and of all."""
    shards = ",".join(sorted(glob.glob(runs.made.test_pattern))[:2])
    work, rows, rates, sizes, minutes = runs.path("costs"), [], {}, [], []
    members(runs)
    for name in montage_rows.TEACHERS:
        rates[name] = score(runs, [name], shards, os.path.join(work, "data", montage_runs.slug(name)))
        score(runs, [name], runs.made.held_out_pattern, os.path.join(work, "fit_on", montage_runs.slug(name)))
        sizes.append(runs.rows[name]["parameters"] * 4 / 1e6)
        minutes.append(sum(runs.rows[row]["cpu_seconds"] for row in (name, montage_groups.pretrained(name))) / 60)
    stores = {
        flag: [os.path.join(work, folder, montage_runs.slug(name)) for name in montage_rows.TEACHERS]
        for flag, folder in (("scores", "data"), ("fit_scores", "fit_on"))
    }
    rerank = {**rated(runs.made), **stores, "data_pattern": shards}
    output = os.path.join(work, "new")
    for folder in (output, f"{output}-1"):
        shutil.rmtree(folder, ignore_errors=True)
    _, whole = timed(api.rerank, **rerank, scores_output=output, candidates=best_rankers.EVERYTHING)
    _, fitting = timed(api.rerank, **rerank, scores_output=f"{output}-1", candidates=1)  # hardly anything is ranked
    one_pass = score(runs, montage_rows.TEACHERS, shards, os.path.join(work, "together"))
    store = open_store(output)
    ranking = sum(len(store.read(shard).ids) for shard in store.shards()) / max(whole - fitting, 1e-9)

    def add(name, value, unit):
        rows.append(report.row(name, value, unit))

    for name, size, minute in zip(montage_rows.TEACHERS, sizes, minutes):
        add(f"{name}: training", minute, "CPU minutes")
        add(f"{name}: size of float32", size, "MB")
        add(f"{name}: scoring", rates[name], "segments a CPU second")
    add("best ensemble: training", sum(minutes), "CPU minutes")
    add("best ensemble: size of float32", sum(sizes), "MB")
    add("best ensemble: mean of the members in one pass", one_pass, "segments a CPU second")
    add("best ensemble: ranking anew", ranking, "segments a CPU second")
    add(
        "best ensemble: scoring and ranking anew",
        1 / (sum(1 / rate for rate in rates.values()) + 1 / ranking),
        "segments a CPU second",
    )
    add("best ensemble: fitting the rankers", fitting / 60, "CPU minutes")
    return rows


def _rows_of(path):
    """The rows of an earlier run's JSON file, of which those stay whose part is not asked for."""
    if not path or not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)["rows"]


def main():
    parser = montage_runs.arguments(__doc__)
    parser.add_argument("--only", choices=PARTS, help="one of the parts")
    options = parser.parse_args()
    made, version = montage_runs.newest(options.work)
    runs_of_seeds = list(montage_runs.of_seeds(options))
    near = beyond.similarities(options.work, made, everything=True)
    made_by = {
        "student": lambda: student_rows(runs_of_seeds, near),
        "attention": lambda: attention_rows(runs_of_seeds, near),
        **{part: lambda part=part: ranker_rows(runs_of_seeds, part) for part in best_rankers.ROWS},
        "lists": lambda: list_rows(runs_of_seeds),
        "localizer": lambda: localizer_rows(runs_of_seeds, near),
        "costs": lambda: cost_rows(runs_of_seeds[0]),
    }
    before, rows = _rows_of(options.json), []
    for part in PARTS:
        asked = options.only in (None, part)
        rows += [{**of, "part": part} for of in made_by[part]()] if asked else [of for of in before if of.get("part") == part]
    report.show(f"The best ensemble, montages' test part, {options.seeds} seeds, scores of {version}", rows, options.json)


if __name__ == "__main__":
    main()
