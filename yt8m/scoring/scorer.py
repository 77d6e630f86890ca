"""Models that score together: every batch is read once, each model predicts, their probabilities or logits are averaged."""

import dataclasses
import hashlib
import math
from dataclasses import dataclass

import keras
import numpy as np

from yt8m import models
from yt8m.config import ModelConfig
from yt8m.errors import UserError
from yt8m.scoring.classes import columns_of, common_label_ids, predicted_label_ids
from yt8m.segments import SEGMENT_SIZE, mean_features, segments_of
from yt8m.training.data import frame_spec, video_spec
from yt8m.training.predict import make_predict, scores_at

LEAST_PROBABILITY = np.float32(1e-7)  # what a lower one, or one less below 1, is taken for in a mean of logits


@dataclass(frozen=True, eq=False)
class Member:
    """A model of an ensemble.

    Attributes:
        model: Keras model.
        config: its ModelConfig.
        weight: of its probabilities in the mean; 0: it is not asked.
        name: what messages and records call it, as its checkpoint.
    """

    model: keras.Model
    config: ModelConfig
    weight: float = 1.0
    name: str = "the model"


class Scorer:
    """The weighted mean of the members' probabilities, or that of their logits as a probability, for the rows of a batch.

    A member scores a row exactly as it does alone: its own classes' columns, its own segment_expansion, and of a video no more
    than its own max_frames. A segment beyond a member's max_frames is scored by the others.

    Args:
        members: Members, one or more; they may be of any kinds.
        kind: "segments" or "videos": what a row is.
        label_ids: the classes that are scored; None: those of the member that has the fewest.
        shifts: as in predict.scores_at.
        skip_head, skip_tail: segments at the beginning and the end of a video that are not scored. Paper 002: the first 6 and
            the last 2 are never rated.
        of_logits: whether the mean is that of logits; of a single member it is its probability, too.

    Attributes:
        label_ids: of the columns of the scores, a tuple.

    Raises:
        UserError: bad weights, members that read different features, a class that a member does not predict, or a model that
            does not score such rows.
    """

    def __init__(self, members, kind="segments", label_ids=None, shifts=0, skip_head=0, skip_tail=0, of_logits=False):
        self.kind, self.shifts, self.skip_head, self.skip_tail = kind, shifts, skip_head, skip_tail
        weights = [member.weight for member in members]
        if not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
            raise UserError(f"--weights={','.join(f'{w:g}' for w in weights)}: each must be 0 or more, and one of them above 0.")
        self._members = [dataclasses.replace(member, weight=member.weight / sum(weights)) for member in members]
        self._of_logits = of_logits and np.count_nonzero(weights) > 1
        _check_features(self._members, kind)
        if kind == "videos":
            for member in members:
                models.check_scores_videos(member.config.model)
        if label_ids is None:
            label_ids = common_label_ids([member.name for member in members], [member.config for member in members])
        self.label_ids = tuple(label_ids)
        self._columns = [_selection(member, self.label_ids) for member in self._members]
        self._predicts = [make_predict(member.model) for member in self._members]

    def spec(self, pattern=""):
        """The DataSpec of the shards to score."""
        configs = [member.config for member, *_ in self._asked()]
        largest = {name: max(getattr(config, name) for config in configs) for name in ("max_frames", "num_classes")}
        config = dataclasses.replace(configs[0], label_ids=None, **largest)
        alike = all(not models.takes_frames(other.model) and other.max_frames == config.max_frames for other in configs)
        if self.kind == "segments" or (config.frame_features and not alike):
            return frame_spec(config, pattern, pattern_flag="input_data_pattern")
        return video_spec(config, pattern, pattern_flag="input_data_pattern")

    def scores(self, batch):
        """Scores a batch of the spec.

        Returns:
            rows int [N], the video of each row; starts int [N], or None for videos; scores float32 [N, C].
        """
        if self.kind == "videos":
            return np.arange(len(batch["ids"])), None, self._of_videos(batch)
        frames, num_frames = np.asarray(batch["frames"]), np.asarray(batch["num_frames"])
        rows, starts = segments_of(num_frames, self.skip_head, self.skip_tail)
        return rows, starts, self._of_segments(frames, num_frames, rows, starts)

    def windows(self, frames, num_frames, starts):
        """Scores windows of one video that need not begin on the grid.

        Args:
            frames: uint8 [T, D].
            num_frames: its real frames.
            starts: int [N], starts of 5-second windows in seconds, each below num_frames.

        Returns:
            float32 [N, C].
        """
        starts, scores = np.asarray(starts, np.int64), np.zeros((len(starts), len(self.label_ids)), np.float32)
        if all(member.model.SCORES_WINDOWS for member, *_ in self._asked()):  # windows may begin anywhere
            return self._of_segments(frames[None], np.array([num_frames]), np.zeros(len(starts), np.int64), starts)
        for shift in range(SEGMENT_SIZE):
            part = np.flatnonzero(starts % SEGMENT_SIZE == shift)
            if len(part):
                rows = np.zeros(len(part), np.int64)
                scores[part] = self._of_segments(frames[None], np.array([num_frames]), rows, starts[part] - shift, shift)
        return scores

    def provenance(self):
        """What made the scores, in JSON's types: equal for equal models and settings, wherever they lie."""
        members = [
            {
                "model": member.config.model,
                "checkpoint": member.name,
                "sha256": fingerprint(member.model),
                "hyperparameters": member.config.hyperparameters,
                "weight": member.weight,
                "segment_expansion": member.config.segment_expansion,
                "max_frames": member.config.max_frames,
                "precision": member.config.precision,
                **_way_of_videos(member.config, self.kind),
            }
            for member in self._members
        ]
        skipped = {"skip_head_segments": self.skip_head, "skip_tail_segments": self.skip_tail}
        mean = {"mean_of": "logits"} if self._of_logits else {}
        return {"members": members, "segment_shifts": self.shifts, **skipped, **mean}

    def _asked(self):
        """(member, its Predict, its columns) of those that count."""
        return [parts for parts in zip(self._members, self._predicts, self._columns) if parts[0].weight]

    def _of_segments(self, frames, num_frames, rows, starts, shift=0):
        """float32 [N, C] of segments, `shift` later: the mean over the members whose max_frames reaches them."""
        total = np.zeros((len(rows), len(self.label_ids)), np.float32)
        weights = np.zeros(len(rows), np.float32)
        for member, predict, columns in self._asked():
            longest = member.config.max_frames
            lengths = np.minimum(num_frames, longest)
            seen = np.flatnonzero(starts + shift < lengths[rows])
            shown = frames[:, :longest], lengths, rows[seen], starts[seen]
            options = {"expansion": member.config.segment_expansion, "shifts": self.shifts, "max_frames": longest, "shift": shift}
            scores = scores_at(member.model, predict, *shown, **options)[:, columns]
            if len(self._asked()) == 1 and len(seen) == len(rows):
                return scores
            total[seen] += np.float32(member.weight) * self._term(scores)
            weights[seen] += np.float32(member.weight)
        return self._probabilities(total / weights[:, None])

    def _of_videos(self, batch):
        """float32 [B, C] of whole videos."""
        total = 0
        for member, predict, columns in self._asked():
            total = total + np.float32(member.weight) * self._term(predict(_shown(member, batch))[:, columns])
        return self._probabilities(total)

    def _term(self, scores):
        """What of a member's probabilities is averaged."""
        if not self._of_logits:
            return scores
        p = np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        return np.log(p) - np.log1p(-p)

    def _probabilities(self, mean):
        """The probabilities of a mean of `_term`s."""
        return 1 / (1 + np.exp(-mean)) if self._of_logits else mean


def _way_of_videos(config, kind):
    """How a member predicts videos, for `provenance`, where that is not the whole at once."""
    return {"video_prediction": config.video_prediction} if kind == "videos" and config.video_prediction != "whole" else {}


def _shown(member, batch):
    """What a member sees of a batch of whole videos."""
    if "features" in batch:
        return batch
    longest = member.config.max_frames
    frames, lengths = np.asarray(batch["frames"])[:, :longest], np.minimum(batch["num_frames"], longest)
    if models.takes_frames(member.config.model):
        return {"frames": frames, "num_frames": lengths}
    return {"features": mean_features(frames, lengths)}


def _check_features(members, kind):
    """Members read the same features; a video-level one gets means of a segment's frames, whatever it was trained on."""
    first = members[0]
    for field in (*(["frame_features"] if kind == "videos" else []), "feature_names", "feature_sizes", "id_feature"):
        name = "segment_feature_names" if field == "feature_names" and kind == "segments" else field
        for member in members[1:]:
            expected, given = getattr(first.config, name), getattr(member.config, name)
            if given != expected:
                values = f"{first.name} has --{field}={_flag(expected)}, {member.name} has {_flag(given)}"
                raise UserError(f"--train_dir: {values}. The models of an ensemble must read the same records.")


def _flag(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def _selection(member, label_ids):
    """What selects the label ids' columns of a member's predictions; a slice where these are all, in their order."""
    if predicted_label_ids(member.config) == label_ids:
        return slice(None)
    return np.array(columns_of(member.config, label_ids, member.name))


def fingerprint(model):
    """A digest of a model's weights, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()[:16]
