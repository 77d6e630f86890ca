"""The E-step of EM (paper 004, section 5.3): a model's confident predictions become labels of segments."""

import itertools
import json
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.progress import track
from yt8m.readers.patterns import match_files
from yt8m.readers.records import Segments
from yt8m.readers.shard_batches import shard_batches
from yt8m.readers.sidecars import SidecarHeader, open_sidecar, size_of, write_sidecar
from yt8m.segments import SEGMENT_SIZE
from yt8m.stages import evaluate
from yt8m.stages.em_files import RESULT, read_labels
from yt8m.training import hosts, restore
from yt8m.training.data import frame_spec
from yt8m.training.predict import make_predict, segment_scores

VIDEOS_A_BATCH = 32
PRIORS = (True, False)  # whether the videos' labels are a prior: y1 (eq. 18), y2 (eq. 19)


def e_step(plan, run, folders):
    """Pseudo-labels for every segment of every video: a sidecar a shard, with and without the videos' labels as a prior.

    y1 = 1[F(X) > delta] where the class is a label of the video (eq. 18), y2 = 1[F(X) > delta] (eq. 19). Several hosts share the
    shards out, in one folder.

    Args:
        plan: em.Plan.
        run: folder of the run of F.
        folders: of y1 and of y2, both in the folder of the iteration, which gets the result.

    Returns:
        Two dicts, of y1 and y2: `folder` (in the train_dir), `num_labels`, `bytes`, and `precision` and `num_judged` on the pairs
        above delta that are rated in the validation fold (precision None where there is none).

    Raises:
        UserError: no segment of any video is above the threshold, or the folders hold labels of another model.
    """
    result_file = os.path.join(os.path.dirname(folders[0]), RESULT)
    results = read_labels(result_file)
    if results is not None:
        return results
    trained = restore.newest(run)
    predict = make_predict(trained.model)
    made_by = {"run": os.path.relpath(run, plan.train_dir), "step": trained.step, "threshold": plan.threshold}
    sources = [{**made_by, "prior": prior} for prior in PRIORS]
    files = match_files(plan.data_pattern, "train_data_pattern")
    model = f"{trained.config.model} of {trained.prefix}"
    print(f"E-step: the segments of {len(files)} shards by {model}, threshold {plan.threshold}")
    host, num_hosts = hosts.place()
    for path in track(files[host::num_hosts], "Labelling", "shards"):
        if not all(is_annotated(folder, path, source) for folder, source in zip(folders, sources)):
            annotate(plan, trained, predict, path, folders, sources)
    hosts.wait()
    results = [
        {"folder": os.path.relpath(folder, plan.train_dir), **summary(folder, files), **precision}
        for folder, precision in zip(folders, precisions(plan, trained))
    ]
    if not all(result["num_labels"] for result in results):
        raise UserError(
            f"--em_threshold={plan.threshold}: no segment scores above it, so there is nothing to learn from. Use a lower one, "
            "or train the first model longer."
        )
    if hosts.is_chief():
        write_text(result_file, json.dumps(results, indent=1) + "\n")
    hosts.wait()
    return read_labels(result_file)


def annotate(plan, trained, predict, path, folders, sources):
    """Writes both sidecars of one shard."""
    config = trained.config
    label_ids = np.array(config.label_ids if config.label_ids is not None else range(config.num_classes))
    annotations = [], []
    spec = frame_spec(config, plan.data_pattern)
    shard = shard_batches(spec, [path], VIDEOS_A_BATCH, num_parallel=1)
    for batch in itertools.chain.from_iterable(batches for _, batches in shard):
        rows, starts, scores = segment_scores(trained.model, predict, batch, config.segment_expansion)
        above, of_videos = scores > plan.threshold, batch["labels"].numpy()[rows] > 0  # [N, C]
        for number, video in enumerate(batch["ids"].numpy()):
            here = rows == number
            for videos, chosen in zip(annotations, (above[here] & of_videos[here], above[here])):
                videos.append((video.decode(), positives(starts[here], chosen, label_ids)))
    for folder, videos, source in zip(folders, annotations, sources):
        header = SidecarHeader(os.path.basename(path), len(videos), config.num_classes, config.label_ids, True, source)
        write_sidecar(folder, header, videos)


def positives(starts, chosen, label_ids):
    """Segments of the chosen (segment, class) pairs, bool [S, C]; None where there is none."""
    segments, classes = np.nonzero(chosen)
    if not len(segments):
        return None
    begin = starts[segments].astype(np.int64)
    return Segments(begin, begin + SEGMENT_SIZE, label_ids[classes].astype(np.int64), np.ones(len(begin), np.float32))


def is_annotated(folder, path, source):
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
        annotations = (sidecar.segments(number) for number in range(sidecar.header.num_records))
        labels += sum(len(segments.labels) for segments in annotations if segments is not None)
    return {"num_labels": labels, "bytes": size_of(folder)}


def precisions(plan, trained):
    """`precision` and `num_judged` of y1 and of y2 on the rated pairs of the validation fold."""
    _, scores, ratings, of_videos = evaluate.rated_pairs(
        trained.model,
        trained.config,
        plan.rated_pattern,
        fold=(plan.fold, plan.folds),
        pattern_flag="rated_data_pattern",
    )
    above = scores > plan.threshold
    for chosen in (above & of_videos, above):
        count = int(chosen.sum())
        yield {"precision": float(np.mean(ratings[chosen] > 0)) if count else None, "num_judged": count}
