"""How good a model is: video metrics as the starter has them, and MAP and AUC over rated segments."""

import functools
import os

import numpy as np
import tensorflow as tf

from yt8m import losses, models
from yt8m.files import full_disk
from yt8m.metrics import VideoMetrics
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.progress import Progress
from yt8m.readers import batches
from yt8m.readers.index import is_remote
from yt8m.readers.patterns import shards
from yt8m.stages import curves
from yt8m.stages.objective import loss_in
from yt8m.training.data import segment_spec, video_spec
from yt8m.training.predict import make_predict

# Of log_loss, by which runs and paper 002's tables are compared: an epsilon that the mean over the classes does not show.
CROSS_ENTROPY = losses.CrossEntropyLoss(epsilon=1e-7)


def evaluate_videos(
    model,
    config,
    pattern,
    batch_size=128,
    top_k=20,
    fold=None,
    pattern_flag="eval_data_pattern",
    map_top_k=None,
    threshold=0.5,
    keep=None,
):
    """Hit@1, PERR, MAP, GAP@top_k, loss, precision and recall over whole videos.

    Args:
        model: Keras model.
        config: its ModelConfig.
        pattern: shards.
        batch_size: videos at a time.
        top_k: predictions a video that count for GAP.
        fold, pattern_flag: as evaluate_segments'.
        map_top_k: predictions a video that count for MAP; None: all, as VideoMetrics keeps them.
        threshold: of precision and recall: what is predicted is above it.
        keep: function(predictions, labels), called with those of each batch, [B, C]; None: nothing is done with them.

    Returns:
        dict of metric name -> value, as VideoMetrics.result, with the cross entropy in both normalisations: `log_loss`, the mean
        over the classes (paper 002, eq. 1, and its tables 1 and 2), and `log_loss_sum`, the sum over them (the starter's).
        `loss` is the config's loss; it is left out where that is one of segments alone, such as SampledNegativeLoss.
    """
    models.check_scores_videos(config.model)
    predict, loss = make_predict(model), loss_in(config)
    of_segments = losses.needs_video_labels(config.label_loss)
    metrics = VideoMetrics(config.num_outputs, top_k, map_top_k, threshold)
    spec = video_spec(config, pattern, pattern_flag=pattern_flag, fold=fold, held_out=fold is not None)
    for batch in shown_batches(spec, batch_size):
        predictions, labels = predict(batch), batch["labels"].numpy()
        entropy = float(np.mean(CROSS_ENTROPY(predictions, labels)))
        values = {} if of_segments else {"loss": float(np.mean(loss(predictions, labels)))}
        if keep:
            keep(predictions, labels)
        metrics.update(predictions, labels, **values, log_loss=entropy / config.num_outputs, log_loss_sum=entropy)
    result = metrics.result()
    if of_segments:
        del result["loss"]
    return result


def evaluate_segments(
    model, config, pattern, batch_size=128, fold=None, pattern_flag="eval_data_pattern", threshold=0.5, keep=None
):
    """MAP, AUC, loss, precision and recall over rated (segment, class) pairs; pairs that nobody rated do not take part.

    Args: as evaluate_videos'; `pattern` names rated shards.
        fold: (k, n): of these shards every n-th from the k-th on, the part that fine-tuning with folds leaves out.
        pattern_flag: what error messages call the pattern.
        keep: function(columns of the classes, scores, ratings), called with the rated pairs; None: nothing is done with them.

    Returns:
        dict of metric name -> value, with `chance`, the MAP of a random order; `log_loss`, the mean cross entropy of a rated
        pair; `loss`, the config's loss a segment (eq. 2 of paper 002 where it is SampledNegativeLoss, as in its tables 3 and 4).
    """
    loss, values, pairs = loss_in(config), [], []
    for batch, predictions in rated_rows(model, config, pattern, batch_size, fold, pattern_flag):
        known = {name: batch[name] for name in getattr(loss, "NEEDS", ()) if name in batch}
        values.append(np.asarray(loss(predictions, batch["labels"], batch["label_weights"], **known)))
        pairs.append(pairs_of(batch, predictions))
    classes, scores, labels, _ = (np.concatenate(part) for part in zip(*pairs))
    if keep:
        keep(classes, scores, labels)
    metrics = segment_metrics_from_pairs(classes, scores, labels, config.num_outputs, threshold)
    metrics["loss"] = float(np.mean(np.concatenate(values)))
    metrics["log_loss"] = float(np.mean(CROSS_ENTROPY(scores[:, None], labels[:, None])))
    return metrics


def rated_pairs(model, config, pattern, batch_size=128, fold=None, pattern_flag="eval_data_pattern"):
    """What a model says of the rated (segment, class) pairs.

    Args: as evaluate_segments'.

    Returns:
        (columns of the classes int, scores float32, ratings float32, whether the class is a label of the video bool), [n] each.
    """
    rows = rated_rows(model, config, pattern, batch_size, fold, pattern_flag)
    return tuple(np.concatenate(part) for part in zip(*(pairs_of(batch, predictions) for batch, predictions in rows)))


def rated_rows(model, config, pattern, batch_size, fold, pattern_flag):
    """Yields the batches of the rated segments, and float32 [N, C], what the model says of them."""
    predict = make_predict(model)
    spec = segment_spec(config, pattern, pattern_flag=pattern_flag, fold=fold, held_out=fold is not None, video_labels=True)
    for batch in shown_batches(spec, batch_size):
        yield batch, predict(batch)


def pairs_of(batch, predictions):
    """The rated pairs of a batch, as rated_pairs gives them."""
    rows, classes = np.nonzero(batch["label_weights"].numpy())
    labels, of_videos = batch["labels"].numpy(), batch["video_labels"].numpy()
    return classes, predictions[rows, classes], labels[rows, classes], of_videos[rows, classes] > 0


def shown_batches(spec, batch_size):
    """Yields the batches of every row of a DataSpec once, and shows how many rows are done."""
    remote = any(map(is_remote, shards(spec)))  # to count the rows of remote shards would be to fetch them twice
    count = None if remote else batches.count_examples(spec)
    unit = "videos" if spec.by_video or not spec.segment_labels else "segments"
    with Progress("Evaluating", count, unit) as progress:
        for batch in batches.evaluation_batches(spec, batch_size, num_parallel=1):
            yield batch
            progress.advance(len(batch["ids"]))


def scalars(metrics):
    """The metrics that are single numbers."""
    return {name: float(value) for name, value in metrics.items() if np.ndim(value) == 0 and not isinstance(value, (dict, str))}


def write_scalars(train_dir, step, metrics, segments, group=None, curve=None, picture=None):
    """Writes metrics beside the training's, as the run `eval` of the same TensorBoard folder; where it cannot, it says so.

    Args:
        train_dir: folder of the run.
        step: of the weights.
        metrics: {name: value}; of class_average_precisions a histogram is written.
        segments: they are of segments, else of videos.
        group: what they stand under; None: segments or videos.
        curve: PrecisionRecall, or None.
        picture: path of a PNG, which is shown as `where`, or None.
    """
    group, folder = group or ("segments" if segments else "videos"), os.path.join(train_dir, "eval")
    try:
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default(step=step):
            for name, value in scalars(metrics).items():
                tf.summary.scalar(f"{group}/{name}", value)
            _write_more(group, step, metrics, curve, picture)
        writer.close()
    except (OSError, tf.errors.OpError) as error:
        reason = full_disk(error) or str(error).splitlines()[0][-200:]
        print(f"No TensorBoard scalars were written: {folder} cannot be written ({reason}).", flush=True)


def _write_more(group, step, metrics, curve, picture):
    """Writes what is no single number to the default writer."""
    precisions = np.asarray(metrics.get("class_average_precisions", ()), np.float64)
    if (counted := precisions[np.isfinite(precisions)]).size:
        tf.summary.histogram(f"{group}/class_average_precision", counted, buckets=20)
    if curve is not None:
        curves.write(f"{group}/precision_recall", curve, step)
    if picture is not None:
        tf.summary.image("where", tf.image.decode_png(tf.io.read_file(str(picture)), channels=3)[None])


def at_step(stage, config, model):
    """Function(step) -> metrics on stage.eval_data_pattern of the weights of that step; asked for it again it has them still."""
    measure = evaluate_videos if stage.stage == "pretrain" else evaluate_segments

    @functools.lru_cache(maxsize=1)
    def evaluated(step):
        return measure(model, config, stage.eval_data_pattern)

    return evaluated


def during_training(stage, evaluated):
    """An action for the training loop: of what `evaluated` (at_step) finds it prints a line and writes TensorBoard scalars."""
    segments = stage.stage != "pretrain"

    def evaluate(step):
        metrics = evaluated(step)
        write_scalars(stage.train_dir, step, metrics, segments)
        values = scalars(metrics)
        shown = ("map", "auc") if segments else ("hit_at_one", "perr", "map", "gap")
        print(f"eval step {step} | " + " | ".join(f"{name}: {values[name]:.3f}" for name in shown if name in values), flush=True)
        return {f"val_{name}": value for name, value in values.items()}

    return evaluate
