"""Expectation and maximisation (paper 004, section 5, Algorithm 1), every step of it resumable."""

import dataclasses
import itertools
import json
import os
import shutil

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.files import replacing_folder, write_text
from yt8m.readers import datasets
from yt8m.readers.records import Segments
from yt8m.readers.shard_batches import shard_batches
from yt8m.readers.sidecars import SidecarHeader, open_sidecar, size_of, write_sidecar
from yt8m.segments import SEGMENT_SIZE
from yt8m.stages import evaluate, train
from yt8m.training import checkpoints as ckpt
from yt8m.training import restore
from yt8m.training.data import frame_spec, segment_spec
from yt8m.training.predict import make_predict, segment_scores

VIDEOS_A_BATCH = 32  # of an E-step
PLAN, REPORT, RESULT, AFTER_MSTEP = "em.json", "em_report.json", "result.json", "after_mstep.json"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model of the process and how it is trained.

    Attributes:
        name: "F" (pre-trained on videos), "F1" (on labels within the videos' labels) or "F2" (on labels without that prior).
        model: ModelConfig.
        stages: TrainConfigs in their order; their train_dir and pseudo_labels are set by the process.
    """

    name: str
    model: configs.ModelConfig
    stages: tuple


@dataclasses.dataclass(frozen=True)
class Plan:
    """The whole process.

    Attributes:
        train_dir: folder; each step has one of its own in it.
        data_pattern: shards of whole videos, {(X, y)}.
        rated_pattern: shards with rated segments, {(X_s, y_s)}; the candidates' fold of them is the validation set.
        initial: the Candidate F; candidates: F1 and F2.
        iterations: of E- and M-step.
        threshold: delta of eq. 18 and 19.
        folds, fold: every folds-th shard of rated_pattern from the fold-th on is for validation.
    """

    train_dir: str
    data_pattern: str
    rated_pattern: str
    initial: Candidate
    candidates: tuple
    iterations: int = 2
    threshold: float = 0.9
    folds: int = 8
    fold: int = 0


def em(plan, callbacks=()):
    """Algorithm 1: initialise, pre-train, fine-tune; then E-step, M-step for F1 and F2, fine-tune both, keep the better; again.

    A step whose result is there is not done again; a step that was cut short goes on where it was. In the end the train_dir
    holds the last iteration's F, as a run that eval.py and inference.py can be given.

    Args:
        plan: Plan.
        callbacks: keras.callbacks.Callback objects, for every training.

    Returns:
        The report, a list of dicts (one a trained model), or None when SIGTERM stopped it.
    """
    if "TF_CONFIG" in os.environ:
        raise UserError("--stage=em: runs on one host, with all its devices. Leave TF_CONFIG out.")
    for held_out in (False, True):  # before anything is trained
        datasets.shards(rated_fold(plan, held_out))
    datasets.match_files(plan.data_pattern, "train_data_pattern")
    note_plan(plan)
    folder = os.path.join(plan.train_dir, "initial")
    first = trained(plan, plan.initial, folder, "", callbacks)
    if first is None:
        return None
    rows, best = [{"iteration": 0, **first}], folder
    for iteration in range(1, plan.iterations + 1):
        folder = os.path.join(plan.train_dir, f"iteration-{iteration}")
        labels = e_step(plan, best, folder)
        results = []
        for candidate, made in zip(plan.candidates, labels):
            labels_folder = os.path.join(plan.train_dir, made["folder"])
            result = trained(plan, candidate, os.path.join(folder, candidate.name), labels_folder, callbacks)
            if result is None:
                return None
            results.append({"iteration": iteration, **made, **result})
        better = max(results, key=lambda result: result["map"])
        best = os.path.join(folder, better["name"])
        rows += [{**result, "kept": result is better} for result in results]
        write_report(plan, rows)
    publish(plan, best)
    show(rows)
    return rows


def rated_fold(plan, held_out):
    """The DataSpec of the rated shards that the candidates learn from, or of those that judge them."""
    changes = {"pattern_flag": "rated_data_pattern", "fold": (plan.fold, plan.folds), "held_out": held_out}
    return segment_spec(plan.initial.model, plan.rated_pattern, **changes)


# ---------------------------------------------------------------- expectation


def e_step(plan, source, folder):
    """Pseudo-labels for every segment of every video: a sidecar a shard, with and without the videos' labels as a prior.

    y1 = 1[F(X) > delta] where the class is a label of the video (eq. 18), y2 = 1[F(X) > delta] (eq. 19).

    Args:
        plan: Plan.
        source: folder of the run of F.
        folder: of the iteration; labels-1 and labels-2 are made in it.

    Returns:
        Two dicts, of y1 and y2: `folder` (in the train_dir), `num_labels`, `bytes`, and `precision` and `num_judged` on the pairs
        above delta that are rated in the validation fold (precision None where there is none).

    Raises:
        UserError: no segment of any video is above the threshold.
    """
    folders = [os.path.join(folder, name) for name in ("labels-1", "labels-2")]
    result = read_json(os.path.join(folder, RESULT))
    if result is not None:
        return result
    model = restore.newest(source)
    predict = make_predict(model.model)
    where = {"run": os.path.relpath(source, plan.train_dir), "step": model.step, "threshold": plan.threshold}
    files = datasets.match_files(plan.data_pattern, "train_data_pattern")
    print(f"E-step: the segments of {len(files)} shards by {model.config.model} of {model.prefix}, threshold {plan.threshold}")
    for path in files:
        if not all(is_made(one, path, {**where, "prior": prior}) for one, prior in zip(folders, (True, False))):
            annotate(plan, model, predict, path, folders, where)
    results = []
    for one, found in zip(folders, precisions(plan, model)):
        results.append({"folder": os.path.relpath(one, plan.train_dir), **summary(one, files), **found})
    if not all(result["num_labels"] for result in results):
        raise UserError(
            f"--em_threshold={plan.threshold}: no segment scores above it, so there is nothing to learn from. Use a lower one, "
            "or train the first model longer."
        )
    write_text(os.path.join(folder, RESULT), json.dumps(results, indent=1) + "\n")
    return results


def annotate(plan, trained_model, predict, path, folders, source):
    """Writes both sidecars of one shard."""
    config = trained_model.config
    label_ids = np.array(config.label_ids if config.label_ids is not None else range(config.num_classes))
    made = [], []
    spec = dataclasses.replace(frame_spec(config, plan.data_pattern), as_video_features=False)
    shard = shard_batches(spec, [path], VIDEOS_A_BATCH, num_parallel=1)
    for batch in itertools.chain.from_iterable(batches for _, batches in shard):
        rows, starts, scores = segment_scores(trained_model.model, predict, batch, config.segment_expansion)
        above, of_videos = scores > plan.threshold, batch["labels"].numpy()[rows] > 0  # [N, C]
        for number, video in enumerate(batch["ids"].numpy()):
            here = rows == number
            for annotations, chosen in zip(made, (above[here] & of_videos[here], above[here])):
                annotations.append((video.decode(), positives(starts[here], chosen, label_ids)))
    for folder, annotations, prior in zip(folders, made, (True, False)):
        header = SidecarHeader(
            os.path.basename(path), len(annotations), config.num_classes, config.label_ids, True, {**source, "prior": prior}
        )
        write_sidecar(folder, header, annotations)


def positives(starts, chosen, label_ids):
    """Segments of the chosen (segment, class) pairs, bool [S, C]; None where there is none."""
    segments, classes = np.nonzero(chosen)
    if not len(segments):
        return None
    begin = starts[segments].astype(np.int64)
    return Segments(begin, begin + SEGMENT_SIZE, label_ids[classes].astype(np.int64), np.ones(len(begin), np.float32))


def is_made(folder, path, source):
    """Whether a shard's sidecar is there.

    Raises:
        UserError: it is of another model, threshold or kind.
    """
    name = os.path.join(folder, os.path.basename(path))
    if not os.path.exists(name):
        return False
    theirs = open_sidecar(folder, path).header.source
    if theirs != source:
        raise UserError(f"{name}: made by {theirs}, not by {source}. Delete it, or name another --train_dir.")
    return True


def summary(folder, files):
    """How many labels the sidecars of a folder hold, and their bytes."""
    labels = 0
    for path in files:
        sidecar = open_sidecar(folder, path)
        found = (sidecar.segments(number) for number in range(sidecar.header.num_records))
        labels += sum(len(segments.labels) for segments in found if segments is not None)
    return {"num_labels": labels, "bytes": size_of(folder)}


def precisions(plan, trained_model):
    """`precision` and `num_judged` of y1 and of y2 on the rated pairs of the validation fold."""
    _, scores, ratings, of_videos = evaluate.rated_pairs(
        trained_model.model,
        trained_model.config,
        plan.rated_pattern,
        fold=(plan.fold, plan.folds),
        pattern_flag="rated_data_pattern",
    )
    above = scores > plan.threshold
    for chosen in (above & of_videos, above):
        count = int(chosen.sum())
        yield {"precision": float(np.mean(ratings[chosen] > 0)) if count else None, "num_judged": count}


# ---------------------------------------------------------------- maximisation


def trained(plan, candidate, folder, labels, callbacks):
    """Trains a candidate through its stages, each from where it is.

    Args:
        plan, callbacks: as em's.
        candidate: Candidate.
        folder: of its run.
        labels: folder of its pseudo-labels.

    Returns:
        dict: `name`, `model`, `after_mstep` (MAP on the validation fold before fine-tuning), `map` and `auc` after it; None when
        SIGTERM stopped it.
    """
    result = read_json(os.path.join(folder, RESULT))
    if result is not None:
        return result
    stages = [
        dataclasses.replace(stage, train_dir=folder, pseudo_labels=labels, start_new_model=False) for stage in candidate.stages
    ]
    prefix = ckpt.latest(folder)
    names = [stage.stage for stage in stages]
    print(f"{os.path.relpath(folder, plan.train_dir)}: {candidate.model.model}")
    for stage in stages[names.index(ckpt.position(prefix)[1]) if prefix else 0 :]:
        if stage.stage != "mstep":
            stage = dataclasses.replace(stage, pseudo_labels="")
        model = getattr(train, stage.stage)(stage, candidate.model, callbacks)
        if model is None:
            return None
        if stage is not stages[-1] and stage.stage == "mstep":
            after = validate(plan, model, candidate.model)["map"]
            write_text(os.path.join(folder, AFTER_MSTEP), json.dumps(after) + "\n")
    metrics = validate(plan, model, candidate.model)
    result = {
        "name": candidate.name,
        "model": candidate.model.model,
        "after_mstep": read_json(os.path.join(folder, AFTER_MSTEP)),
        "map": metrics["map"],
        "auc": metrics["auc"],
    }
    write_text(os.path.join(folder, RESULT), json.dumps(result) + "\n")
    return result


def validate(plan, model, config):
    """MAP and AUC on the validation fold."""
    return evaluate.evaluate_segments(
        model, config, plan.rated_pattern, fold=(plan.fold, plan.folds), pattern_flag="rated_data_pattern"
    )


# ---------------------------------------------------------------- the process's own files


def note_plan(plan):
    """Writes em.json, or compares with the one that is there.

    Raises:
        UserError: the train_dir holds another process, or a run that is none.
    """
    path, ours = os.path.join(plan.train_dir, PLAN), json.loads(json.dumps(dataclasses.asdict(plan)))
    theirs = read_json(path)
    if theirs is None:
        if ckpt.latest(plan.train_dir):
            raise UserError(f"--stage=em: --train_dir={plan.train_dir} holds a run of another stage. Name a fresh one.")
        write_text(path, json.dumps(ours, indent=1) + "\n")
        return
    other = [name for name in ours if ours[name] != theirs.get(name) and name not in ("train_dir", "iterations")]
    if other:
        raise UserError(
            f"--train_dir={plan.train_dir}: holds an EM run with another {other[0]}. Give the flags that it was started with, "
            "--start_new_model, or another --train_dir."
        )


def publish(plan, source):
    """Makes the train_dir stand for the run `source`: its chosen checkpoint and model_flags.json."""
    with replacing_folder(os.path.join(plan.train_dir, ckpt.BEST)) as unfinished:
        shutil.copytree(os.path.join(source, ckpt.BEST), unfinished, dirs_exist_ok=True)
    configs.write_model_config(plan.train_dir, configs.read_model_config(source))
    print(f"The better model of the last iteration, {os.path.relpath(source, plan.train_dir)}, stands for {plan.train_dir} now.")


def write_report(plan, rows):
    """em_report.json and TensorBoard scalars of the iterations so far."""
    write_text(os.path.join(plan.train_dir, REPORT), json.dumps(rows, indent=1) + "\n")
    for row in rows:
        with tf.summary.create_file_writer(os.path.join(plan.train_dir, "em", row["name"])).as_default(step=row["iteration"]):
            for name in ("map", "auc", "after_mstep", "num_labels", "precision"):
                if row.get(name) is not None:
                    tf.summary.scalar(f"em/{name}", row[name])


def show(rows):
    """Prints the report as a table."""
    table = Table(title="EM: MAP on the held-out fold of the rated segments", title_justify="left")
    columns = ("iteration", "", "model", "labels made", "MB", "their precision", "MAP after M-step", "MAP fine-tuned", "kept")
    for name in columns:
        table.add_column(name, justify="left" if name in ("", "model", "kept") else "right")
    for row in rows:
        labels = ("", "", "")
        if "num_labels" in row:
            judged = f"{row['precision']:.2f} of {row['num_judged']}" if row["num_judged"] else "none is rated"
            labels = (f"{row['num_labels']:,}", f"{row['bytes'] / 1e6:.1f}", judged)
        after = "" if row["after_mstep"] is None else f"{row['after_mstep']:.3f}"
        kept = "yes" if row.get("kept") else ""
        table.add_row(str(row["iteration"]), row["name"], row["model"], *labels, after, f"{row['map']:.3f}", kept)
    console = Console()
    Console(width=max(console.width, 110)).print(table)


def read_json(path):
    """What a JSON file holds, or None where there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
