"""Models of a whole video that give a prediction for every 5 seconds of it (paper 004)."""

import keras
import numpy as np
from keras import ops

from yt8m.base_model.base import BaseModel, model_inputs
from yt8m.base_model.frame import frame_inputs
from yt8m.base_model.parts import Graph, Part
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.segment_mean import SegmentMean
from yt8m.layers.segments_of_videos import mean_of_real
from yt8m.readers.spec import VideosWithSegments
from yt8m.segments import SEGMENT_SIZE


class SequenceModel(BaseModel):
    """A model that encodes the frames of a video, averages them over each segment and classifies the segments.

    A subclass implements `encode`. The model's output, [B, C], is the mean over the video's segments (paper 004, eq. 15);
    segment_probabilities has them one by one.

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        segment_size: frames a segment.
        normalize: L2-normalise each frame over D, as the starter code does, on which the paper builds.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; segment_probabilities -> [B, S, C].
    """

    HEAD_ARGUMENTS = {"video_level_classifier_model": "LogisticModel", "head_options": None}
    ARGUMENTS = {"segment_size": SEGMENT_SIZE, "normalize": True, **HEAD_ARGUMENTS}
    RECIPE = "em"
    NEEDS_WHOLE_VIDEOS = True
    NO_SEGMENTS_MEAN = ", which is the mean over the segments as it is"
    SCORES_WINDOWS = False
    RATED_ROWS = VideosWithSegments
    suits_xla = False  # the videos of a batch are as long as its longest

    def encode(self, frames, mask):
        """The network.

        Args:
            frames: float32 [B, T, D], zeros for padding.
            mask: bool [B, T], which of them are real.

        Returns:
            A vector for each frame, [B, T, F].
        """
        raise NotImplementedError

    def graph(self):
        inputs = frame_inputs(self.feature_sizes)
        frames = Dequantize(normalize=self.normalize, name="dequantize")(inputs["frames"], inputs["num_frames"])
        encoded = self.encode(frames, FrameMask(name="mask")(frames, inputs["num_frames"]))
        head = self.head()
        vectors, real = SegmentMean(self.segment_size, name="segment_mean")(encoded, inputs["num_frames"])  # [B, S, F], [B, S]
        probabilities = ops.where(real[:, :, None], head(vectors, mask=real), 0.0)  # [B, S, C]
        self._classify_segments = keras.Model(inputs, probabilities).__call__  # a bound method for BaseModel's reason
        return Graph(inputs, mean_of_real(probabilities, real), mean_of_real(vectors, real))

    def segment_probabilities(self, inputs, training=False):
        """Probabilities of every segment, float32 [B, S, C], S = ceil(T / segment_size); zeros past a video's end.

        Args:
            inputs: a batch; entries that the model does not take are ignored.
            training: for a training step: its gradients reach the model's weights.
        """
        return self._classify_segments(model_inputs(self, inputs), training=training)

    def predict_rated(self, batch, training=False):
        """As BaseModel.predict_rated; segments: whole videos' `frames`, `num_frames`, and [N] `segment_rows`, `start_times`."""
        if "segment_rows" not in batch:
            return super().predict_rated(batch, training)
        scores = self.segment_probabilities(batch, training=training)  # [B, S, C]
        at = batch["segment_rows"] * ops.shape(scores)[1] + batch["start_times"] // self.segment_size
        return ops.take(ops.reshape(scores, (-1, scores.shape[-1])), at, axis=0)

    def segment_inputs(self, segments):
        videos = {"frames": segments["context_frames"], "num_frames": segments["context_num_frames"]}
        return {**videos, **{name: segments[name] for name in ("segment_rows", "start_times")}}

    def segment_batches(self, frames, num_frames, windows, chunk):
        """One batch of all videos, each moved by windows.shift: its first frames go, or its first frame is repeated."""
        shift = windows.shift
        if shift > 0:
            frames = frames[:, shift:]
        elif shift < 0:
            frames = np.concatenate([np.repeat(frames[:, :1], -shift, axis=1), frames], axis=1)[:, : windows.max_frames]
        num_frames = np.clip(num_frames - shift, 1, frames.shape[1]).astype(np.int32)  # a video that is gone has no segment
        rows, starts = windows.rows.astype(np.int32), windows.starts.astype(np.int32)
        yield {"frames": frames, "num_frames": num_frames, "segment_rows": rows, "start_times": starts}

    def serving_parts(self):
        return [Part("video", "probabilities", lambda video: self.predict_rated(video)[None], whole_video=True)]
