"""A network that is asked for one class: class-conditional attention on a segment's frames, the second step of CCRL.

Source: the design of the specification's section 2, step B, after arXiv 1911.08548 (of which the code was never published).
"""

import zlib

import keras
import numpy as np
from keras import layers, ops

from yt8m.backend import dtype_policy
from yt8m.errors import UserError
from yt8m.layers.class_attention import ClassAttention
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.pooling import FramePooling
from yt8m.reranking import rankers

PAIRS_AT_A_TIME, MOST_SHIFT = 4096, 20.0


class PairNetwork(keras.Model):
    """A network of pairs; `train_on_batch` takes targets and weights float32 [n], one a pair.

    Args:
        pairwise_weight: of the pairwise term in the loss; 0: none.
        *args, **kwargs: as keras.Model's of inputs and outputs.
    """

    def __init__(self, *args, pairwise_weight=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.pairwise_weight = pairwise_weight

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """sum_i w_i BCE_i / n, as Keras weighs rows (its "sum_over_batch_size"), and pairwise_weight times the pairwise term.

        That is the mean of log(1 + exp(out_neg - out_pos)) over all pairs of a positive and a negative row of one class in the
        batch, whatever the rows weigh; 0 where there are none.
        """
        y = ops.cast(y, y_pred.dtype)
        loss = ops.mean(sample_weight * ops.binary_crossentropy(y, y_pred, from_logits=True))
        if not self.pairwise_weight:
            return loss
        alike = ops.cast(x["classes"][:, None] == x["classes"], y_pred.dtype)
        pairs = alike * y[:, None] * (1 - y)  # [n, n]: row i is positive, row j is negative
        terms = pairs * ops.softplus(y_pred - y_pred[:, None])
        return loss + self.pairwise_weight * ops.sum(terms) / ops.maximum(ops.sum(pairs), 1)


@dtype_policy("float32")
def pair_model(num_classes, size, num_features, width=128, hidden=256, heads=4, embedding=32, dropout=0.5, pairwise_weight=0.0):
    """The network, which begins exactly at the base: out = w0 base + dense(h), w0 = 1 and the dense layer's kernel 0.

    keys k_t = W x_t of batch-normed frames; query q = dense([embedding of the class; W_r contrast]); class-conditional attention
    z; h = gated(dropout(ReLU(BN(dense [z; mean of k; q; BN(features)])))). A class that was never seen keeps working through its
    references.

    Args:
        num_classes: C.
        size: D, values of a frame.
        num_features: F.
        width: of keys and query.
        hidden: of h.
        heads: of the attention.
        embedding: of the class, and of its references.
        dropout: on h.
        pairwise_weight: as PairNetwork's.

    Returns:
        PairNetwork of a dict: windows uint8 [S, W, D], counts int [S], places int [n], classes int [n], contrast float32 [n, D],
        features float32 [n, F], base float32 [n] -> logits float32 [n].
    """
    windows = keras.Input((None, size), dtype="uint8", name="windows")
    counts, places, classes = (keras.Input((), dtype="int32", name=name) for name in ("counts", "places", "classes"))
    contrast, features = keras.Input((size,), name="contrast"), keras.Input((num_features,), name="features")
    base = keras.Input((), name="base")
    real = FrameMask(name="mask")(windows, counts)
    frames = Dequantize(normalize=True, name="dequantize")(windows, counts)
    frames = layers.BatchNormalization(name="frame_norm")(frames, mask=real)
    keys = layers.Dense(width, use_bias=False, name="keys")(frames)  # [S, W, d], once a segment
    keys, mask = ops.take(keys, places, axis=0), ops.take(real, places, axis=0)  # [n, W, d]
    class_vector = layers.Embedding(num_classes, embedding, keras.initializers.RandomNormal(stddev=0.05), name="class_embedding")
    looks = layers.Dense(embedding, use_bias=False, name="looks")(contrast)
    query = layers.Dense(width, name="query")(ops.concatenate([class_vector(classes), looks], axis=-1))  # [n, d]
    asked = ClassAttention(heads, name="attention")(keys, query, mask=mask)  # [n, M d]
    mean = FramePooling("average", name="mean")(keys, mask=mask)
    known = layers.BatchNormalization(name="feature_norm")(features)
    h = layers.Dense(hidden, use_bias=False, name="hidden")(ops.concatenate([asked, mean, query, known], axis=-1))
    h = layers.Dropout(dropout, name="dropout")(ops.relu(layers.BatchNormalization(name="hidden_norm")(h)))
    h = h * layers.Dense(hidden, activation="sigmoid", name="gate")(h)
    more = layers.Dense(1, kernel_initializer="zeros", name="more")(h)
    start = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="base_weight")(base[:, None])
    inputs = [windows, counts, places, classes, contrast, features, base]
    named = {tensor.name: tensor for tensor in inputs}
    return PairNetwork(named, (start + more)[:, 0], pairwise_weight=pairwise_weight, name="pairs")


class PairRanker:
    """The mean of some networks' logits, each with the same base.

    Args:
        base: rankers.FeatureRanker, whose logits the networks start from.
        models: of pair_model.
        expansion: frames on either side of a segment that they see.
        constant: added to the mean.
    """

    def __init__(self, base, models, expansion, constant=0.0):
        self.base, self.models, self.expansion, self.constant = base, models, expansion, constant

    def __call__(self, features, pairs):
        """Logits float32 [n] of features float32 [n, F] and Pairs."""
        base, logits = self.base(features), np.zeros(len(features), np.float32)
        for first in range(0, len(features), PAIRS_AT_A_TIME):
            chosen = np.arange(first, min(first + PAIRS_AT_A_TIME, len(features)))
            inputs = _inputs(pairs.some(chosen), features[chosen], base[chosen])
            logits[chosen] = np.mean([_logits(model, inputs) for model in self.models], axis=0) + self.constant
        return logits


def fit(features, labels, classes, videos, pairs, num_classes, rated=None, **options):
    """A PairRanker, fitted on rated pairs and on negatives that nobody has rated.

    The base is the logistic regression of the same features of rated pairs (step A). The videos are in parts by a hash of their
    ids. While networks are trained and judged, a pair's base is that of the ratings of the other parts (`out_of_fold`), as a pair
    is later one that the base has not seen. Each network learns all parts but the first; of its epochs, and of its start, the one
    is kept that has the lowest log loss on that part's rated pairs, as `shifted_log_loss` has it; where it is not the start, the
    constant of that is added to what the network says. Where these pairs are all positive, or none is, no epoch is better than
    another: the networks stay at their start, and a line says so.

    Args:
        features: float32 [n, F]; labels: [n], positive where above 0; classes: int [n]; videos: str [n], ids.
        pairs: frames.Pairs.
        num_classes: C.
        rated: bool [n], the other rows are such negatives; None: all are rated.
        **options: as in rankers.OPTIONS["attention"].

    Raises:
        UserError: as rankers.fit; or ratings of one video only.
    """
    options = rankers.options_of("attention", options)
    rated = np.ones(len(classes), bool) if rated is None else rated
    base = rankers.fit("logistic", features[rated], labels[rated], classes[rated])
    parts = parts_of(videos, rated, options["parts"])
    if not parts[rated].any():
        raise UserError(
            f"--method=attention: all {np.count_nonzero(rated)} ratings of --fit_on are of one video, and networks learn from "
            "some videos and are judged by others. Name more shards, or use --method=logistic."
        )
    starts = out_of_fold(features, labels, classes, rated, parts)
    targets, weights = (np.asarray(labels) > 0).astype(np.float32), np.full(len(classes), options["negative_weight"], np.float32)
    weights[rated] = rankers.class_weights(classes[rated])
    rows = np.flatnonzero(parts > 0), np.flatnonzero((parts == 0) & rated)
    if len(np.unique(targets[rows[1]])) < 2:
        print(
            f"Note: the {len(rows[1])} ratings that would judge --method=attention's networks are all of one kind, so that they "
            "say what the logistic regression says. Name more shards in --fit_on."
        )
    models, constants = [], []
    for number in range(options["num_models"]):
        keras.utils.set_random_seed(options["seed"] + number)
        how = {name: options[name] for name in ("width", "hidden", "heads", "embedding", "dropout", "pairwise_weight")}
        model = pair_model(num_classes, pairs.windows.shape[-1], features.shape[1], **how)
        constants.append(_train(model, (features, targets, weights, starts, pairs), *rows, options, options["seed"] + number))
        models.append(model)
    return PairRanker(base, models, options["expansion"], np.float32(np.mean(constants)))


def parts_of(videos, rated, parts):
    """The part of each row's video, int [n] from 0 to parts - 1.

    Videos are dealt out in the order of a hash of their ids, rated ones first: as many parts as can be have ratings, the first
    part of all.

    Args:
        videos: str [n], ids; rated: bool [n]; parts: how many.
    """
    names, numbers = np.unique(videos, return_inverse=True)
    hashes, unrated = [zlib.crc32(name.encode()) for name in names.tolist()], ~np.isin(names, videos[rated])
    dealt = np.zeros(len(names), np.int64)
    dealt[np.lexsort((hashes, unrated))] = np.arange(len(names)) % parts
    return dealt[numbers]


def out_of_fold(features, labels, classes, rated, parts):
    """Logits float32 [n] of logistic regressions of rated pairs, each row's of one that was fitted without the row's part.

    Where the other parts' ratings are of one kind, nothing can be fitted to them: they give all rows of the part their log odds,
    one positive and one negative rating more.

    Args:
        features: float32 [n, F]; labels: [n], positive where above 0; classes: int [n]; rated: bool [n]; parts: int [n].
    """
    logits, positive = np.zeros(len(features), np.float32), np.asarray(labels) > 0
    for part in np.unique(parts):
        rows, others = parts == part, rated & (parts != part)
        positives, negatives = (np.count_nonzero(others & kind) for kind in (positive, ~positive))
        if positives and negatives:
            logits[rows] = rankers.fit("logistic", features[others], labels[others], classes[others])(features[rows])
        else:
            logits[rows] = np.log((positives + 1) / (negatives + 1))
    return logits


def _train(model, data, learned, judged, options, seed):
    """Trains a network on some rows and leaves it with the weights that are best on others; returns what is to be added to it."""
    features, targets, weights, base, pairs = data
    if len(np.unique(targets[judged])) < 2:
        return 0.0
    batch, rng = min(options["batch_size"], len(learned)), np.random.default_rng(seed)
    steps = len(learned) // batch
    rate = keras.optimizers.schedules.CosineDecay(options["learning_rate"], steps * options["epochs"])
    optimizer = keras.optimizers.AdamW(rate, weight_decay=options["weight_decay"], global_clipnorm=options["clip_norm"])
    model.compile(optimizer)

    def loss():
        logits = np.concatenate(
            [_logits(model, _inputs(pairs.some(rows), features[rows], base[rows])) for rows in _split(judged)]
        )
        return shifted_log_loss(logits, targets[judged], weights[judged])

    (best, _), constant, kept = loss(), 0.0, model.get_weights()
    for _ in range(options["epochs"]):
        order = rng.permutation(learned)
        if options["pairwise_weight"]:
            order = side_by_side(order, pairs.classes, options["rows_per_class"], rng)
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            inputs = _inputs(_each_its_own(pairs.some(rows)), features[rows], base[rows])
            model.train_on_batch(inputs, targets[rows], sample_weight=weights[rows])
        now, moved = loss()
        if now < best:
            best, constant, kept = now, moved, model.get_weights()
    model.set_weights(kept)
    return constant


def shifted_log_loss(logits, targets, weights):
    """(Log loss of logits with the constant added that makes it lowest, the constant), which changes no order.

    Negatives that nobody has rated lower all of a network's logits; on rated pairs alone that would look like a loss.

    Args:
        logits: float [n]; targets: 0 or 1, [n]; weights: [n].
    """
    from scipy import optimize

    def loss(constant):
        moved = logits + constant
        return np.average(np.logaddexp(0, moved) - targets * moved, weights=weights)

    found = optimize.minimize_scalar(loss, bounds=(-MOST_SHIFT, MOST_SHIFT), method="bounded")
    return found.fun, found.x


def side_by_side(order, classes, count, rng):
    """Rows in another order, int [m]: groups of `count` rows of a class, its last group of what is left, the groups at random.

    Args:
        order: int [m], rows at random; classes: int [n], of all rows; count: rows of a group; rng: numpy Generator.
    """
    order = order[np.argsort(classes[order], kind="stable")]
    _, firsts = np.unique(classes[order], return_index=True)
    of_classes = np.split(order, firsts[1:])
    groups = [rows[first : first + count] for rows in of_classes for first in range(0, len(rows), count)]
    return np.concatenate([groups[number] for number in rng.permutation(len(groups))])


def _each_its_own(pairs):
    """Pairs that each have a segment of their own, so that a batch has as many of all."""
    return pairs._replace(
        windows=pairs.windows[pairs.places], counts=pairs.counts[pairs.places], places=np.arange(len(pairs.places))
    )


def _split(rows):
    """Parts of rows that are computed at once."""
    return [rows[first : first + PAIRS_AT_A_TIME] for first in range(0, len(rows), PAIRS_AT_A_TIME)]


def _inputs(pairs, features, base):
    """The network's inputs."""
    of_pairs = {name: getattr(pairs, name).astype(np.int32) for name in ("counts", "places", "classes")}
    return {**of_pairs, "windows": pairs.windows, "contrast": pairs.contrast, "features": features, "base": base}


def _logits(model, inputs):
    """float32 [n]."""
    return ops.convert_to_numpy(model({name: ops.convert_to_tensor(value) for name, value in inputs.items()}, training=False))
