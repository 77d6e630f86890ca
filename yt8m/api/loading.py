"""A trained model in Python: frames or a video file in, probabilities and timelines out."""

import os

import numpy as np

from yt8m.backend import check_backend
from yt8m.errors import UserError
from yt8m.features.from_files import FileFeatures
from yt8m.features.inputs import id_of
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import sources
from yt8m.scoring.classes import scored_label_ids
from yt8m.scoring.scorer import Member
from yt8m.segments import SEGMENT_SIZE
from yt8m.timelines.models import RunScorer
from yt8m.timelines.names import class_name
from yt8m.timelines.timeline import Settings, make_timeline
from yt8m.training import bundle, restore
from yt8m.training.names import class_names


@errors_as_user_errors()
def load(path=None, checkpoint=None, vocabulary=None, segment_label_ids_file=None, backbone=None, weights_dir=None):
    """A trained model, ready for frames and for video files.

    Args:
        path: train_dir of a run, or a .tgz that `yt8m inference --output_model_tgz` wrote; None: the latest run of `yt8m train`
            without a train_dir.
        checkpoint: of the run; None: the newest.
        vocabulary, segment_label_ids_file, backbone, weights_dir: as the flags of `yt8m timeline`.

    Returns:
        Localizer.

    Raises:
        UserError: no such model, or a bad file.
    """
    check_backend("inference")
    path = sources.folder_of_run({"train_dir": path and os.fspath(path)})
    folder = bundle.folder_of(path) if os.path.isfile(path) else path
    trained = restore.newest(folder, checkpoint)
    label_ids = scored_label_ids([trained.config], segment_label_ids_file)
    names = class_names(trained.config, vocabulary)
    return Localizer(folder, trained, label_ids, names, backbone, weights_dir and os.fspath(weights_dir))


class Localizer:
    """A trained model that says of frames what is in them, and where.

    Args:
        train_dir: its folder.
        trained: restore.Trained.
        label_ids: the classes that it scores; None: all its own.
        names: {label id: name}.
        backbone, weights_dir: of what makes frames of files, as from_files.FileFeatures'; None: those of the model's features.

    Attributes:
        train_dir: as given.
        model: keras.Model.
        config: its ModelConfig.
        step: of the checkpoint.
        label_ids: of the columns of predict's scores, a tuple.
        vocabulary: {label id: name}, of all these.
    """

    def __init__(self, train_dir, trained, label_ids, names, backbone=None, weights_dir=None):
        self.train_dir, self.model, self.config, self.step = train_dir, trained.model, trained.config, trained.step
        self._scorer = RunScorer([Member(trained.model, trained.config, name=trained.prefix)], label_ids)
        self._prefix, self.label_ids = trained.prefix, self._scorer.label_ids
        self.vocabulary = {label: class_name(names, label) for label in self.label_ids}
        self._how, self._files = {"flag": backbone, "weights_dir": weights_dir}, None

    def __repr__(self):
        return f"Localizer({self.config.model} of {self.train_dir}, step {self.step}, {len(self.label_ids)} classes)"

    def predict(self, frames, stride=SEGMENT_SIZE):
        """Probabilities of a video's classes over time.

        Args:
            frames: uint8 [T, D], a frame a second: the features' bytes, in the order of config.feature_names; or the path of a
                video or sound file, which is decoded and embedded as the features that the model was trained on.
            stride: 5: a score every 5 seconds; 1: every second.

        Returns:
            float32 [ceil(T / stride), C].

        Raises:
            UserError: other frames, or another stride.
        """
        Settings(stride=stride)
        return self._scorer.scores(self._checked(frames)[0], stride)

    def localize(self, frames, id=None, **settings):
        """Where in a video which classes are.

        Args:
            frames: as predict's.
            id: what the timeline calls the video; None: by its file's name, or "video".
            **settings: stride, high, low, merge_gap, min_length, top_classes, thresholds, as timeline.Settings has them.

        Returns:
            Timeline.

        Raises:
            UserError: other frames, or a setting out of range.
        """
        try:
            settings = Settings(**settings)
        except TypeError as error:
            raise UserError(f"{error}. Use some of {', '.join(Settings.__dataclass_fields__)}.") from error
        frames, video = self._checked(frames)
        if id is not None:
            video["id"] = str(id)
        scores = self._scorer.scores(frames, settings.stride)
        backbone = (self.config.backbone or {}).get("name")
        model = {"name": self.config.model, "train_dir": str(self.train_dir), "step": self.step, "backbone": backbone}
        look = lambda columns: self._scorer.attention(frames, columns)  # noqa: E731
        return make_timeline(video, model, settings, self.label_ids, self.vocabulary, scores, look)

    def export(self, output_dir, **given):
        """Writes the model as files that run without this package.

        Args:
            output_dir: folder to make.
            **given: more flags of `yt8m export`, e.g. formats=["saved_model"].

        Returns:
            Path of the folder.

        Raises:
            UserError: as yt8m.api.export_model.
        """
        from yt8m.api.exporting import export_model

        return export_model(train_dir=self.train_dir, checkpoint=self._prefix, output_dir=output_dir, **given)

    def _checked(self, frames):
        """(frames as an array uint8 [T, D], what a timeline says of the video)."""
        video = {"id": "video", "file": None}
        if isinstance(frames, (str, os.PathLike)):
            path = os.path.abspath(os.path.expanduser(os.fspath(frames)))
            frames, facts = self._of_file(path)
            video = {"id": id_of(path), "file": path, "duration": min(facts.duration, len(frames))}
        frames = np.asarray(frames)
        if frames.ndim != 2 or frames.shape[1] != self._scorer.frame_size or frames.dtype != np.uint8 or not len(frames):
            raise UserError(
                f"frames {frames.dtype} {list(frames.shape)}: expected uint8 [T, {self._scorer.frame_size}], a frame a second of "
                f"{' and '.join(self.config.segment_feature_names)} side by side. Quantise floats with yt8m.segments.quantise."
            )
        return frames, {"duration": len(frames), **video, "frames": len(frames)}

    @errors_as_user_errors()
    def _of_file(self, path):
        """(frames, extraction.Facts) of a video or sound file."""
        if not os.path.exists(path):
            raise UserError(f"{path}: no such file. Give a video or sound file, or frames uint8 [T, {self._scorer.frame_size}].")
        if self.config.sample and not self._how["flag"]:
            raise UserError(f"{path}: the model was trained on the built-in sample, whose frames are made up. Give frames.")
        if self._files is None:
            self._files = FileFeatures(self.config.backbone, self.train_dir, **self._how)
        return self._files.frames(path, self.config.segment_feature_names)
