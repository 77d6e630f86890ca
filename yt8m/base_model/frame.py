"""Models of frames: which of them a training step sees, what the network makes of them, and a classifier."""

import itertools

import keras
from keras import ops

from yt8m.base_model.base import BaseModel
from yt8m.base_model.parts import Graph
from yt8m.base_model.shared_frames import SharedFrames
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.frame_sampling import ends_of, sample_frames
from yt8m.layers.segments_of_videos import AttentionOfSegments, MeanOfSegments, SegmentSplit


def frame_inputs(feature_sizes, prefix=""):
    """The symbolic `frames` uint8 [B, T, D] and `num_frames` int32 [B] of a batch; D is the sum of the sizes.

    Args:
        feature_sizes: of the features.
        prefix: of the inputs' names.
    """
    return {
        "frames": keras.Input((None, sum(feature_sizes)), dtype="uint8", name=f"{prefix}frames"),
        "num_frames": keras.Input((), dtype="int32", name=f"{prefix}num_frames"),
    }


class FrameModel(BaseModel):
    """A model that describes a video or a segment by one vector, and classifies that.

    Frames -> ends cut off, sampled (training) -> features, L2-normalised -> encode -> head. A subclass implements `encode`. One
    that is to see all frames leaves SAMPLING out of its ARGUMENTS.

    With video_prediction="segments_mean" (paper 004, section 5.1, eq. 15) all this happens to each 5-second segment of what the
    model is given, a last partial one included, and prediction and embedding are the means over them. A row of at most 5 frames
    is one segment, and its prediction what it is with "whole".

    Args:
        num_classes: C.
        feature_sizes: bytes a frame of each feature; D is their sum.
        sampling: frames that a training step sees: a method of FrameSampling, or "none" (all, the ends too).
        num_samples, skip_head, skip_tail, stride: as in FrameSampling, which cuts off the ends in inference, too.
        normalize: L2-normalise each frame over D.
        video_level_classifier_model: name of the head.
        head_options: arguments of the head's layer, over HEAD_DEFAULTS.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C].
    """

    SAMPLING = {"sampling": "random", "num_samples": 120, "skip_head": None, "skip_tail": None, "stride": 5}
    HEAD_ARGUMENTS = {"video_level_classifier_model": "MoeModel", "head_options": None}
    ARGUMENTS = {**SAMPLING, "normalize": True, **HEAD_ARGUMENTS}
    VIDEO_PREDICTIONS = ("whole", "segments_mean")
    POOLS_FRAMES = False  # up to its FramePools `encode` looks at each frame by itself, and behind them at none
    NORMALIZES_FRAMES = True  # `normalize` is about all D values of a frame; False: `encode` sees to it

    def encode(self, frames, mask):
        """The network.

        Args:
            frames: float32 [B, T, D], zeros for padding.
            mask: bool [B, T], which of them are real.

        Returns:
            What the head sees, [B, E].
        """
        raise NotImplementedError

    def graph(self):
        inputs, frames, mask = self.read_frames()
        embedding = self.encode(frames, mask)
        return Graph(inputs, self.head()(embedding), embedding)

    @classmethod
    def ends(cls, arguments):
        given = {**cls.ARGUMENTS, **arguments}
        return ends_of(given["sampling"], given["skip_head"], given["skip_tail"]) if "sampling" in given else (0, 0)

    @classmethod
    def judges_described(cls, arguments, width):
        skipped = sum(cls.ends(arguments))  # of a window that is longer some would be left out
        draws = arguments.get("sample_at_inference", False) or arguments.get("video_prediction", "whole") != "whole"
        return cls.POOLS_FRAMES and not draws and (not skipped or width <= skipped)

    def shared_frames(self, width):
        if not self.judges_described(self.get_config(), width):
            return None
        return SharedFrames([self], lambda outputs, beside: outputs[0])

    def of_videos(self, graph):
        if self.video_prediction == "whole":
            return graph
        videos = graph.inputs["frames"], graph.inputs["num_frames"]
        outputs = MeanOfSegments(name="video")(graph.outputs, *videos)
        embedding = MeanOfSegments(name="video_embedding")(graph.embedding, *videos)
        attention = graph.attention
        if attention is not None:
            attention = AttentionOfSegments(name="video_attention")(attention, *videos)
        return Graph(graph.inputs, outputs, embedding, attention)

    def read_frames(self):
        """The symbolic inputs, and `frames` and `mask` for `encode`, of segments with video_prediction="segments_mean"."""
        inputs = frame_inputs(self.feature_sizes)
        frames, num_frames = self.taken(inputs)
        if "sampling" in self.ARGUMENTS:
            sampling = (self.sampling, self.num_samples, self.skip_head, self.skip_tail, self.stride, self.seed_of_inference())
            frames, num_frames = sample_frames({"frames": frames, "num_frames": num_frames}, *sampling)
        mask = FrameMask(name="mask")(frames, num_frames)
        dequantize = Dequantize(normalize=self.normalize and self.NORMALIZES_FRAMES, name="dequantize")
        return inputs, dequantize(frames, num_frames), mask

    def taken(self, inputs, name="segments"):
        """The frames and num_frames that sampling gets: the videos', or with video_prediction="segments_mean" their segments'.

        Args:
            inputs: the symbolic inputs.
            name: of the layer that cuts them into segments.
        """
        if self.video_prediction == "segments_mean":
            return SegmentSplit(name=name)(inputs["frames"], inputs["num_frames"])
        return inputs["frames"], inputs["num_frames"]

    def features_of(self, frames):
        """The features of frames, [B, T, size] each: cut by one operation, whose gradient is one concatenation."""
        ends = list(itertools.accumulate(self.feature_sizes))
        return ops.split(frames, ends[:-1], axis=-1) if len(ends) > 1 else [frames]

    def seed_of_inference(self):
        """Seed of FrameSampling in inference; None: it draws nothing there."""
        return None
