"""Sequence models: the whole video in, a prediction for every 5 seconds out (paper 004)."""

import keras
from keras import ops

from yt8m.base_model import SequenceModel
from yt8m.base_model.checks import check_choice, check_positive
from yt8m.frame_level_models.recurrent import recurrent_mask
from yt8m.layers.position_encoding import PositionEncoding
from yt8m.layers.recurrence import GRU
from yt8m.layers.transformer_block import TransformerBlock
from yt8m.registry import register

FUSIONS = ("early", "late")


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class BiGruModel(SequenceModel):
    """GRUs one on the other that read the video forwards, as many that read it backwards, both outputs side by side.

    Args:
        units: of each GRU; they read all D values of a frame (early fusion).
        num_layers: GRUs each way.
        reset_after: False: the reset gate acts on h, eq. 8; True: on U h, cuDNN's form, several times faster on a GPU.
        num_classes, feature_sizes, segment_size, normalize, video_level_classifier_model, head_options: as in SequenceModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; segment_probabilities -> [B, S, C];
        embed -> [B, 2 * units], the mean of the segments' vectors.
    Raises:
        UserError: sizes that are not positive, or an unknown head.
    Source: paper 004, section 4.3, eq. 8-10; it does not give the units. Keras's update gate is 1 - z of eq. 8.
    """

    SAMPLE = {"hyperparameters": {"units": 128, "reset_after": True}}

    ARGUMENTS = {"units": 512, "num_layers": 2, "reset_after": False, **SequenceModel.ARGUMENTS}

    def check_arguments(self):
        check_positive(self, "units", "num_layers")

    def encode(self, frames, mask):
        mask = recurrent_mask(frames, mask)
        ahead = back = frames
        for index in range(self.num_layers):
            options = {"reset_after": self.reset_after, "return_sequences": True}
            ahead = GRU(self.units, **options, name=f"forward_{index}")(ahead, mask=mask)
            back = GRU(self.units, **options, go_backwards=True, name=f"backward_{index}")(back, mask=mask)
            back = ops.flip(back, axis=1)  # it comes in the order of reading
        return ops.concatenate([ahead, back], axis=-1)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class TransformerModel(SequenceModel):
    """Transformer blocks over all frames of the video.

    Args:
        num_blocks: blocks one on the other.
        fusion: "early": the blocks see all D; "late": each feature has blocks of its own size, and their outputs are
            concatenated before the classifier.
        num_heads, feed_forward_size: as in TransformerBlock (None: the size of what the blocks see).
        position: "none", or as in PositionEncoding.
        max_length: positions of "learned".
        epsilon: of the layer norms.
        num_classes, feature_sizes, segment_size, normalize, video_level_classifier_model, head_options: as in SequenceModel.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; segment_probabilities -> [B, S, C];
        embed -> [B, D], the mean of the segments' vectors.
    Raises:
        UserError: sizes that are not positive, or an unknown name.
    Source: paper 004, section 4.4, eq. 11-14.
    Example:
        model = TransformerModel(num_classes=1000, fusion="late")
        by_segment = model.segment_probabilities({"frames": frames, "num_frames": num_frames})
    """

    GAINS_BY_BFLOAT16 = True
    SAMPLE = {"base_learning_rate": 2.5e-4}

    ARGUMENTS = {
        "num_blocks": 2,
        "fusion": "early",
        "num_heads": 1,
        "feed_forward_size": None,
        "position": "none",
        "max_length": 300,
        "epsilon": 1e-6,
        **SequenceModel.ARGUMENTS,
    }

    def check_arguments(self):
        check_choice("fusion", self.fusion, FUSIONS)
        check_positive(self, "num_blocks")

    def encode(self, frames, mask):
        outputs, start = [], 0
        for index, size in enumerate(self.feature_sizes if self.fusion == "late" else [sum(self.feature_sizes)]):
            x = frames[:, :, start : start + size]
            if self.position != "none":
                x = PositionEncoding(self.position, self.max_length, name=f"position_{index}")(x)
            for block in range(self.num_blocks):
                name = f"block_{index}_{block}"
                x = TransformerBlock(self.num_heads, self.feed_forward_size, self.epsilon, name=name)(x, mask=mask)
            outputs.append(x)
            start += size
        return ops.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
