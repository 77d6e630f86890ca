"""What scores a video: trained runs, or a SavedModel with the signature of MediaPipe's youtube8m graphs."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from yt8m import jsonfiles
from yt8m.config import MAX_CLASSES, MAX_FRAMES, ModelConfig
from yt8m.errors import UserError
from yt8m.models import model_class
from yt8m.scoring.classes import columns_of
from yt8m.scoring.scorer import Scorer
from yt8m.segments import dequantise, windows_at, windows_of
from yt8m.timelines.windows import scores_a_stride, window_starts
from yt8m.training.data import frame_spec
from yt8m.training.predict import deciding_attention

_WINDOWS_AT_A_TIME = 256
_REPORT, _REPORT_FIELDS = "export.json", {"label_ids": jsonfiles.ListOf(jsonfiles.Integer(0))}  # beside an exported SavedModel


class VideoScorer:
    """What timelines ask of a model.

    Attributes:
        label_ids: of the columns of the scores, a tuple.
        frame_size: D, bytes a frame.
        longest: frames that are scored together; a longer video is scored in pieces of so many, one after another.
        origins: (features.origin of what it was trained on, what it is called) of each model of which that is known.
    """

    label_ids, frame_size, longest, origins = (), 0, MAX_FRAMES, ()

    def spec(self, pattern=""):
        """The DataSpec of frame-level shards: whole videos, however long, whatever their labels."""
        spec = frame_spec(self._config, pattern, pattern_flag="input_data_pattern")
        return dataclasses.replace(spec, max_frames=MAX_FRAMES, num_classes=MAX_CLASSES, label_ids=(0,))

    def scores(self, frames, stride):
        """The scores of one video.

        Args:
            frames: uint8 [T, D].
            stride: 5 or 1 seconds.

        Returns:
            float32 [ceil(T / stride), C].

        Raises:
            UserError: the model's scores are no numbers.
        """
        scores = []
        for begin in range(0, len(frames), self.longest):
            piece = frames[begin : begin + self.longest]
            of_windows = self._windows(piece, window_starts(len(piece), stride))
            scores.append(scores_a_stride(of_windows, len(piece), stride))
        scores = np.concatenate(scores) if scores else np.zeros((0, len(self.label_ids)), np.float32)
        if not np.isfinite(scores).all():
            raise UserError("the model's scores are no numbers (NaN): its training went wrong. Use another checkpoint.")
        return scores

    def attention(self, frames, columns):
        """Where the attention set looks that decides each class: float32 [n, T], each with the maximum 1; None: no such model.

        Args:
            frames: uint8 [T, D].
            columns: int [n], of the scores.
        """
        return None


class RunScorer(VideoScorer):
    """Trained runs, whose probabilities are averaged.

    A model that sees windows scores a video of any length; one that reads the whole video around them gets no more of it at a
    time than in its training, its max_frames.

    Args:
        members: scorer.Members.
        label_ids: the classes that are scored; None: those of the member that has the fewest.

    Raises:
        UserError: as Scorer's.
    """

    def __init__(self, members, label_ids=None):
        whole = [member.config.max_frames for member in members if _reads_whole_videos(member.config.model)]
        self.longest = max(min(whole) // 5 * 5, 5) if whole else MAX_FRAMES
        members = [
            dataclasses.replace(member, config=dataclasses.replace(member.config, max_frames=self.longest)) for member in members
        ]
        self._scorer, self._first, self._config = Scorer(members, label_ids=label_ids), members[0], members[0].config
        self.origins = [(member.config.backbone, member.name) for member in members]
        self._is_single = len(members) == 1
        self.label_ids, self.frame_size = self._scorer.label_ids, sum(self._config.feature_sizes)

    def _windows(self, frames, starts):
        return self._scorer.windows(frames, len(frames), starts)

    def attention(self, frames, columns):
        """As VideoScorer's, of a single run; see predict.deciding_attention."""
        if not self._is_single or not len(columns):
            return None
        of_model = columns_of(self._config, [self.label_ids[column] for column in columns])
        return deciding_attention(self._first.model, frames, of_model)


class SavedModelScorer(VideoScorer):
    """A SavedModel with MediaPipe's signature: rgb_and_audio float [B, T, D], num_frames int32 [B, 1] -> predictions.

    Its columns stand for the label ids that `yt8m export` wrote with it; of a model of somebody else's, column = label id.

    Args:
        folder: of the SavedModel.
        feature_names, feature_sizes: of the records; the sizes sum up to D.
        label_ids: the classes that are scored; None: all, in the order of its columns.
        id_feature: name of a record's id.

    Raises:
        UserError: no SavedModel, no such signature, another D, a class that it has not, or an export.json beside it that is
            damaged or of another model.
    """

    def __init__(self, folder, feature_names=("rgb", "audio"), feature_sizes=(1024, 128), label_ids=None, id_feature="id"):
        flag = f"--saved_model={folder}"
        try:
            self._model = tf.saved_model.load(folder)  # kept: its variables live as long as it does
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{flag}: cannot be loaded ({reason}). Name the folder that saved_model.pb is in.") from error
        self._call = _mediapipe_signature(self._model, flag)
        self.frame_size = sum(feature_sizes)
        wanted = self._call.structured_input_signature[1]["rgb_and_audio"].shape[-1]
        if wanted not in (None, self.frame_size):
            sizes = ",".join(map(str, feature_sizes))
            raise UserError(f"{flag}: takes {wanted} values a frame, not those of --feature_sizes={sizes}. Name its sizes.")
        features = {"feature_names": tuple(feature_names), "feature_sizes": tuple(feature_sizes), "id_feature": id_feature}
        self._config = ModelConfig("SavedModel", **features)
        count = self._predict(np.zeros((1, 5, self.frame_size), np.float32), np.array([5])).shape[-1]
        own = _own_label_ids(self._model, folder, count, flag)
        self.label_ids = own if label_ids is None else tuple(label_ids)
        self._columns = _columns(own, self.label_ids, flag)

    def _windows(self, frames, starts):
        indices, counts = windows_at(starts, np.full(len(starts), len(frames)))
        scores = np.zeros((len(starts), len(self.label_ids)), np.float32)
        for begin in range(0, len(starts), _WINDOWS_AT_A_TIME):
            part = slice(begin, begin + _WINDOWS_AT_A_TIME)
            windows = windows_of(frames[None], np.zeros(len(starts[part]), int), indices[part], counts[part])
            floats = dequantise(windows)
            floats[np.arange(windows.shape[1]) >= counts[part, None]] = 0
            scores[part] = self._predict(floats, counts[part])[:, self._columns]
        return scores

    def _predict(self, frames, num_frames):
        given = {"rgb_and_audio": tf.constant(frames), "num_frames": tf.constant(num_frames[:, None], tf.int32)}
        outputs = self._call(**given)
        return outputs.get("predictions", next(iter(outputs.values()))).numpy()


def _reads_whole_videos(name):
    """Whether models of this name score a segment by the video around it."""
    kind = model_class(name)
    return kind.NEEDS_WHOLE_VIDEOS or kind.HAS_ENCODERS


def _mediapipe_signature(model, flag):
    """The signature that takes rgb_and_audio and num_frames."""
    for signature in model.signatures.values():
        if set(signature.structured_input_signature[1]) == {"rgb_and_audio", "num_frames"}:
            return signature
    raise UserError(
        f"{flag}: none of its signatures ({', '.join(model.signatures) or 'it has none'}) takes rgb_and_audio and num_frames. "
        "Export with `yt8m export --formats=mediapipe`."
    )


def _own_label_ids(model, folder, count, flag):
    """The label id of each of a SavedModel's columns.

    `yt8m export` writes them into the export.json beside its folder, and those of a model with label_ids of its own into the
    SavedModel, too. Where there are none, column = label id.

    Args:
        model: what tf.saved_model.load gives.
        folder: of the SavedModel.
        count: C, of its columns.
        flag: what messages call it.

    Returns:
        tuple of C int.

    Raises:
        UserError: export.json is damaged, or of another model.
    """
    inside = getattr(model, "yt8m_label_ids", None)
    inside = tuple(inside.numpy().tolist()) if isinstance(inside, tf.Variable) else None
    path = os.path.join(os.path.dirname(os.path.realpath(folder)), _REPORT)
    beside = _reported_label_ids(path)
    if beside is None:
        return tuple(range(count)) if inside is None else inside
    if not len(beside) == len(set(beside)) == count or inside not in (None, beside):
        raise UserError(
            f"{path}: its label_ids ({len(beside)}, {len(set(beside))} of them different) are not those of the {count} outputs "
            f"of {flag}. Export the model again."
        )
    return beside


def _reported_label_ids(path):
    """The label_ids in an export.json, a tuple; None: there is no such file."""
    try:
        report = jsonfiles.read(path, _REPORT_FIELDS, "Export the model again", missing=None)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Export the model again.") from error
    return report and tuple(report["label_ids"])


def _columns(own, label_ids, flag):
    """The columns that label ids are, a list of int; `own`: those of all columns; `flag`: what messages call the model."""
    column = {label: number for number, label in enumerate(own)}
    missing = [label for label in label_ids if label not in column]
    if missing:
        raise UserError(f"--segment_label_ids_file: class {missing[0]} is none of the {len(own)} of {flag}. Name another file.")
    return [column[label] for label in label_ids]


def model_name(folder):
    """What a folder's model is called where nothing says more."""
    return os.path.basename(os.path.abspath(folder))
