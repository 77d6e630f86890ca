"""What montages are like beside the real data, and what there is to reach on them: facts.json beside the montages.

Ceilings, MAP over the rated pairs of the test montages:

  chance                 the positive share of a class's ratings
  oracle                 a network of one hidden layer on a segment's mean frame, trained with the truth of every segment of all
                         train and rated montages
  oracle with context    the same, its logit joined with that of the neighbours and of the whole montage; three weights for all
                         classes, fitted on the held-out montages' ratings
  told the fillers       the oracle, trained and tested with the frames that are no fillers alone: what there is to gain
                         from attention to the right frames
  told the background    the oracle, trained and tested with the background taken out of the frames: what there is to gain from
                         knowing it
  knows the sources      compares a segment with every source of the test part, whose classes it knows
  the truth              right everywhere: what the raters' errors leave
"""

import glob
import json
import os

import montage_files
import montage_measures
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from yt8m.files import write_text
from yt8m.readers.records import decode_video
from yt8m.segments import dequantise, starts_of

FACTS = "facts.json"
LAGS = (1, 2, 3, 5, 9)
CEILINGS = {
    "chance": "chance",
    "oracle": "oracle",
    "oracle with context": "oracle_context",
    "oracle, told the fillers": "oracle_fillers",
    "oracle, told the background": "oracle_background",
    "knows the sources": "sources",
    "the truth": "truth",
}
MEASURED = {  # of YouTube-8M; correlations at lags: of AudioSet's frames
    "labels a montage": 3.0, "frames": 230, "E|f|^2 rgb": 920, "E|f|^2 audio": 189, "E|mean|^2 rgb": 217, "E|mean|^2 audio": 60,
    "correlation of frames rgb": 0.23, "correlation of frames audio": 0.32, "audio at lag 1": 0.50, "audio at lag 2": 0.44,
    "audio at lag 3": 0.41, "audio at lag 5": 0.38, "audio at lag 9": 0.33, "audio bytes at 0": 0.09, "audio bytes at 255": 0.09,
    "cosine of random montages rgb": 0.0, "cosine of equal labels rgb": 0.18, "positive share": 0.557, "positive share, 5%": 0.26,
    "positive share, 95%": 0.79, "ratings a class": 243,
}  # fmt: skip
HIDDEN, STEPS, BATCH = 512, 5000, 256


def ensure_facts(made, data, settings, quick=False):
    """The facts of a folder of montages, a dict; found once and kept in facts.json beside them."""
    path = os.path.join(made.folder, FACTS)
    if not os.path.exists(path):
        print("Statistics and oracles of the montages (once).", flush=True)
        held_out, test = (montage_measures.part_of(made, name) for name in ("held_out", "test"))
        facts = {"statistics": statistics_of(made, test), **ceilings(made, data, settings, held_out, test, quick)}
        write_text(path, json.dumps(facts, indent=1) + "\n")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def show(facts):
    """Prints the statistics beside the real data's, and what is known of the oracle."""
    table = Table(title="Montages beside the real data", title_justify="left")
    for column in ("statistic", "here", "measured"):
        table.add_column(column, justify="left" if column == "statistic" else "right")
    for name, value in facts["statistics"].items():
        table.add_row(name, f"{value:.4g}", f"{MEASURED[name]:.4g}" if name in MEASURED else "")
    Console(width=110).print(table)
    for name, value in facts.items():
        if name != "statistics":
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")


def videos_of(pattern, limit=None):
    """Yields the Videos of shards, `limit` at most."""
    count = 0
    for path in sorted(glob.glob(pattern)):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            if count == limit:
                return
            count += 1
            yield decode_video(record, ("rgb", "audio"), (1024, 128))


# ---------------------------------------------------------------- statistics


def statistics_of(made, test, count=200):
    """{name: value} over the first train montages and the ratings of the test part."""
    videos = list(videos_of(made.train_pattern, count))
    means, labels = [], [tuple(sorted(video.labels.tolist())) for video in videos]
    energies, sums, lengths, ends = [], [], [], []
    for video in videos:
        frames = {name: dequantise(video.frames[name]) for name in ("rgb", "audio")}
        means.append(np.concatenate([frames["rgb"].mean(axis=0), frames["audio"].mean(axis=0)]))
        energies.append([float((frames[name] ** 2).sum(axis=1).mean()) for name in frames])
        sums.append([_correlations(frames[name]) for name in frames])
        lengths.append(len(frames["rgb"]))
        ends.append([float((video.frames["audio"] == byte).mean()) for byte in (0, 255)])
    means, energies, sums = np.array(means), np.mean(energies, axis=0), np.nanmean(sums, axis=0)  # sums [2, 1 + lags]
    of_means = [float((means[:, part] ** 2).sum(axis=1).mean()) for part in (slice(1024), slice(1024, None))]
    found = {"labels a montage": np.mean([len(of) for of in labels]), "frames": np.mean(lengths)}
    for index, name in enumerate(("rgb", "audio")):
        found[f"E|f|^2 {name}"], found[f"E|mean|^2 {name}"] = energies[index], of_means[index]
        found[f"correlation of frames {name}"] = sums[index, 0] / energies[index]
        found |= {f"{name} at lag {lag}": sums[index, 1 + place] / energies[index] for place, lag in enumerate(LAGS)}
    found["audio bytes at 0"], found["audio bytes at 255"] = np.mean(ends, axis=0)
    found |= cosines(means[:, :1024], labels)
    return {name: float(value) for name, value in {**found, **ratings_of(test), **runs_of(test)}.items()}


def _correlations(frames):
    """Mean product of two different frames of a video, and of frames at each of LAGS."""
    count, total = len(frames), frames.sum(axis=0)
    energy = (frames**2).sum()
    of_lags = [(frames[lag:] * frames[:-lag]).sum() / (count - lag) if count > lag else np.nan for lag in LAGS]
    return [(float(total @ total) - energy) / (count * (count - 1)) if count > 1 else np.nan, *of_lags]


def cosines(means, labels):
    """Mean cosine of the means of random montages, and of montages with equal labels."""
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    products = unit @ unit.T
    above = np.triu(np.ones(products.shape, bool), 1)
    equal = np.array([[one == other for other in labels] for one in labels]) & above
    return {
        "cosine of random montages rgb": products[above].mean(),
        "cosine of equal labels rgb": products[equal].mean() if equal.any() else np.nan,
    }


def ratings_of(test):
    """Of the rated pairs of a part."""
    rated = np.bincount(test.columns, minlength=test.num_classes)
    shares = np.bincount(test.columns, test.labels, minlength=test.num_classes)[rated > 0] / rated[rated > 0]
    low, high = np.percentile(shares, [5, 95])
    return {"positive share": test.labels.mean(), "positive share, 5%": low, "positive share, 95%": high,
            "ratings a class": rated.mean()}  # fmt: skip


def runs_of(test):
    """Of the stretches in which a rated class is there, seconds."""
    lengths = []
    for id in test.ids:
        seconds = test.seconds[id].astype(np.int8)
        edges = np.diff(np.pad(seconds, ((1, 1), (0, 0))), axis=0)
        for c in np.flatnonzero(seconds.any(axis=0)):
            lengths.extend(np.flatnonzero(edges[:, c] < 0) - np.flatnonzero(edges[:, c] > 0))
    return {"seconds that a class stays, median": np.median(lengths), "seconds that a class stays, mean": np.mean(lengths)}


# ---------------------------------------------------------------- ceilings


def ceilings(made, data, settings, held_out, test, quick):
    """The MAPs, and what a size-3 filter does to the oracle."""
    world = montage_files.make_world(settings, montage_files.read_sources(data))
    truth = made.truth()
    learnt = Segments(made, (made.train_pattern, made.rated_pattern), truth, len(made.segment_classes))
    parts = {"held_out": Segments(made, (made.held_out_pattern,), truth, test.num_classes),
             "test": Segments(made, (made.test_pattern,), truth, test.num_classes)}  # fmt: skip
    steps = 20 if quick else STEPS
    found = {"chance": test.metrics(np.zeros(test.there.shape))["chance"], "truth": _of_truth(test)}
    found["sources"] = test.map(_of_sources(world, test, parts["test"]))
    background = world, settings.background * settings.gain
    for name, told in (("oracle", None), ("oracle_fillers", "fillers"), ("oracle_background", background)):
        model = train_oracle(learnt, told, steps)
        scores = {part: of.scores(model, told) for part, of in parts.items()}
        found[name], found[f"{name}_all"] = test.map(scores["test"]), test.map_of_all(scores["test"])
        if not told:
            found |= {f"oracle_{key}": value for key, value in montage_measures.diagnosis(test, scores["test"]).items()}
            of_parts = [(part, scores[part.name]) for part in (held_out, test)]
            found["oracle_context"], found["oracle_context_weights"] = with_context(*of_parts)
            found["oracle_localization"] = montage_measures.localization_of(
                held_out, test, *(montage_measures.of_segments(part, of) for part, of in of_parts)
            )
    return found


class Segments:
    """Means of the frames of all segments, float16 [N, 1152] (`kept`: without the fillers), and their truth bool [N, K]."""

    def __init__(self, made, patterns, truth, num_classes):
        ids, means, kept = [], [], []
        for pattern in patterns:
            for video in videos_of(pattern):
                frames = dequantise(np.concatenate([video.frames["rgb"], video.frames["audio"]], axis=1))
                starts = starts_of(len(frames))
                means.append(_means(frames, starts, np.ones(len(frames), bool)))
                shown = ~truth[video.id]["filler"]
                kept.append(np.where(np.add.reduceat(shown, starts)[:, None] > 0, _means(frames, starts, shown), means[-1]))
                ids.append(video.id)
        counts = [len(of) for of in means]
        self.means, self.kept = np.concatenate(means), np.concatenate(kept)
        self.there = np.concatenate([truth[id]["there"] for id in ids]).astype(bool)
        self.background = np.repeat([int(truth[id]["background"]) for id in ids], counts)
        with_class = [truth[id]["there"].any(axis=0) for id in ids]
        self.occurs = np.repeat(np.array(with_class), counts, axis=0)  # [N, K]: somewhere in the montage

    def inputs(self, rows, told):
        """float32 [n, 1152] of rows: the means, without the fillers or less the background where these are told."""
        x = (self.kept if told == "fillers" else self.means)[rows].astype(np.float32)
        if told and told != "fillers":
            world, weight = told
            x = x - np.float32(weight) * world.means[self.background[rows]]
        return x / 3.0

    def scores(self, model, told):
        """float32 [N, K]."""
        blocks = (slice(start, start + 8192) for start in range(0, len(self.means), 8192))
        return np.concatenate([tf.sigmoid(model(self.inputs(block, told), training=False)).numpy() for block in blocks])


def _means(frames, starts, of):
    """Means of the frames of each segment for which `of`, float16 [S, D]; 0 without any."""
    counts = np.add.reduceat(of.astype(np.int32), starts)
    return (np.add.reduceat(frames * of[:, None], starts, axis=0) / np.maximum(counts, 1)[:, None]).astype(np.float16)


def train_oracle(segments, told, steps, seed=1):
    """A network of one hidden layer from a segment's mean to logits. Classes that are nowhere in a montage weigh less: raters
    are asked for those that may be there."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dropout(0.2), keras.layers.Dense(HIDDEN, activation="relu"), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((segments.means.shape[1],)), *layers, keras.layers.Dense(segments.there.shape[1])])
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y, weights):
        with tf.GradientTape() as tape:
            terms = weights * tf.nn.sigmoid_cross_entropy_with_logits(y, model(x, training=True))
            loss = tf.reduce_mean(tf.reduce_sum(terms, axis=1))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    rng = np.random.default_rng(seed)
    for _ in range(steps):
        rows = rng.integers(0, len(segments.means), BATCH)
        weights = np.where(segments.occurs[rows], 1.0, 0.1).astype(np.float32)
        step(segments.inputs(rows, told), segments.there[rows].astype(np.float32), weights)
    return model


def with_context(held_out, test):
    """The MAP of logits joined with the neighbours' and the montage's, and the three weights; each argument (Part, scores)."""
    features, labels = [], held_out[0].labels.astype(np.float64)
    for part, scores in (held_out, test):
        of = montage_measures.logits(scores)
        around = part.by_video(of, lambda s: 1.5 * montage_measures.smoothed(s) - 0.5 * s if len(s) > 2 else s)
        whole = part.by_video(of, lambda s: s.mean(axis=0))
        features.append([of, around, whole])
    x = np.stack([held_out[0].rated(of) for of in features[0]] + [np.ones(len(labels))], axis=1).astype(np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(25):  # Newton's method
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(x.shape[1])
        weights += np.linalg.solve(hessian, x.T @ (labels - p) - 1e-3 * weights)
    joined = sum(w * of for w, of in zip(weights, features[1]))
    return test[0].map(joined), [round(float(w), 3) for w in weights[:3]]


def _of_sources(world, test, segments):
    """Scores [N, K] of the rated segments by the sources of the test part that they are nearest to."""
    s, part = world.settings, len(montage_files.montages.SPLITS) - 1
    members = world.members[part]
    means = world.means[members] * np.float32((1 - s.background**2) ** 0.5 * s.gain)
    variance = (world.noise**2).mean() * ((1 - s.lasting) / 5 + s.lasting * 0.64)
    rows = np.unique(test.rows)
    distances = (segments.means[rows].astype(np.float32) @ means.T - 0.5 * (means**2).sum(axis=1)) / variance / 30
    weights = np.exp(distances - distances.max(axis=1, keepdims=True))
    scores = np.zeros(test.there.shape, np.float32)
    has = world.has[members][:, world.segment_classes].astype(np.float32)
    scores[rows] = weights @ has / weights.sum(axis=1, keepdims=True)
    return scores


def _of_truth(test):
    """MAP of the truth, equal scores in random order."""
    noise = np.random.default_rng(0).random(test.there.shape)
    return test.map(test.there + 0.5 * noise)
