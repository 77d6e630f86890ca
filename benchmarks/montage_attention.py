"""Where attention looks on montages, whose truth is known a second at a time: models that benchmarks/montage.py kept.

frames used     exp(entropy of the weights) / number of frames: 1 where the weights are all equal
on fillers      weight on the seconds that show a filler, over their share: 1 where attention does not tell them
filler AUC      how often a second that shows a source has more weight than a filler of the same montage
class AUC       how often a second of the class has more weight than another one that is no filler, weights of the set that wins
between sets    mean correlation of the weights of two sets

python benchmarks/montage_attention.py --work DIR --json FILE      of all seeds; mean and standard error
"""

import json

import montage_runs
import numpy as np
import report
from sklearn.metrics import roc_auc_score

from yt8m.files import write_text
from yt8m.training import restore

ROWS = ("attention, pre-trained", "attention", "multi-attention, pre-trained", "multi-attention")
MEASURES = {"frames": "frames used", "on_fillers": "on fillers", "filler_auc": "filler AUC", "class_auc": "class AUC",
            "between_sets": "between sets"}  # fmt: skip


def frames_used(weights):
    """exp(entropy) / T of weights [T, F, M], mean over features and sets."""
    entropy = -(weights * np.log(np.maximum(weights, 1e-12))).sum(axis=0)
    return float(np.exp(entropy).mean() / len(weights))


def between_sets(weights):
    """Mean correlation of two sets' weights [T, M]; None of a single set."""
    if weights.shape[1] == 1:
        return None
    correlations = np.corrcoef(weights.T)
    return float(correlations[np.triu_indices(len(correlations), 1)].mean())


def of_montage(weights, probabilities, filler, seconds, columns):
    """Measures of a montage, {name: float or None}.

    Args:
        weights: [T, F, M]; probabilities: [M, K]; filler: bool [T]; seconds: bool [T, K], where the classes are.
        columns: of the classes that are looked at.
    """
    mean = weights.mean(axis=1)  # [T, M]
    shown, of_classes = ~filler, []
    for column in columns:
        there = seconds[shown, column]
        if there.any() and not there.all():
            of_classes.append(roc_auc_score(there, mean[shown, probabilities[:, column].argmax()]))
    both = filler.any() and shown.any()
    return {
        "frames": frames_used(weights),
        "on_fillers": float(mean[filler].sum(axis=0).mean() / filler.mean()) if both else None,
        "filler_auc": float(np.mean([roc_auc_score(shown, of_set) for of_set in mean.T])) if both else None,
        "class_auc": float(np.mean(of_classes)) if of_classes else None,
        "between_sets": between_sets(mean),
    }


def measure(runs, name):
    """Means over the test montages of a kept run."""
    import tensorflow as tf

    model, truth = restore.newest(runs.path(name)).model, runs.made.truth()
    predict = tf.function(model.set_probabilities, reduce_retracing=True)
    columns, of_montages = np.array(runs.made.segment_classes), []
    wanted = {}
    for id, column in runs.test.pairs:
        wanted.setdefault(id, []).append(column)
    for ids, frames, lengths in runs.videos(runs.test):
        batch = {"frames": tf.constant(frames), "num_frames": tf.constant(lengths)}
        probabilities, weights = (part.numpy() for part in predict(batch))  # [B, M, C], [B, T, F, M]
        for row, id in enumerate(ids):
            of_frames = weights[row, : lengths[row]].astype(np.float64)
            filler, seconds = truth[id]["filler"], truth[id]["seconds"].astype(bool)
            of_montages.append(of_montage(of_frames, probabilities[row][:, columns], filler, seconds, wanted.get(id, ())))
    values = {key: [of[key] for of in of_montages if of[key] is not None] for key in MEASURES}
    return {key: float(np.mean(of)) for key, of in values.items() if of}


def main():
    parser = montage_runs.arguments(__doc__)
    options = parser.parse_args()
    _, version = montage_runs.newest(options.work)
    values = {}
    for runs in montage_runs.of_seeds(options):
        for name in ROWS:
            for key, value in measure(runs, name).items():
                values.setdefault((name, key), []).append(value)
            measured = ", ".join(f"{MEASURES[key]} {of[-1]:.3f}" for (row, key), of in values.items() if row == name)
            print(f"seed {runs.seed} | {name}: {measured}", flush=True)
    rows = [
        {
            **report.row(f"{name}: {MEASURES[key]}", float(np.mean(of)), "", spread=_error(of)),
            "row": name,
            "measure": key,
            "seeds": of,
        }
        for (name, key), of in values.items()
    ]
    title = f"Attention on test montages, {options.seeds} seeds, version {version}"
    report.show(title, rows, options.json)
    if options.json:
        with open(options.json, encoding="utf-8") as file:
            written = json.load(file)
        write_text(options.json, json.dumps({**written, "version": version}, indent=1))


def _error(values):
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None


if __name__ == "__main__":
    main()
