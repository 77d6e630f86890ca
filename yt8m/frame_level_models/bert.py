"""The BERT-like encoder of the 9th place of 2019."""

import keras

from yt8m.base_model import FrameModel
from yt8m.base_model.checks import check_choice, check_positive, check_share
from yt8m.layers.pooling import FramePooling
from yt8m.layers.transformer_block import TransformerBlock
from yt8m.layers.weighted_pooling import METHODS, WeightedPooling
from yt8m.registry import register

POOLINGS = ("mean", *METHODS)


@register("model")
@keras.saving.register_keras_serializable("yt8m")
class BertModel(FrameModel):
    """Blocks of self-attention over a few frames without any notion of their order, pooled, and the head ("BERTMean").

    Frames -> a run of 5 (training) -> L2-normalised -> blocks at the width of the frame, without input projection or positions ->
    pooled over the real frames -> head. With pooling "mean" the order of the frames does not matter.

    Args:
        num_blocks, num_heads, feed_forward_size: of the TransformerBlocks, whose feed-forward layers have a GELU.
        dropout: of attention weights and of what each half of a block adds.
        pooling: "mean"; "last": the last real frame (what the authors call "first"); "attention": softmax over the frames of
            h . w / sqrt(D), w learned.
        epsilon: of the layer norms.
        num_classes, feature_sizes, sampling, num_samples, skip_head, skip_tail, stride, normalize, video_level_classifier_model,
            head_options: as in FrameModel; the head is a mixture of 5 experts unless told otherwise.

    Shapes: {frames uint8 [B, T, D], num_frames int32 [B]} -> float32 [B, C]; embed -> [B, D].
    Raises:
        UserError: sizes that are not positive, heads that do not divide D, or an unknown pooling.
    Source: the 9th place's code and README, "BERTMean L2H12" (private .7725, .7802 with shifts). There short videos repeat their
        last frame; here padding is masked.
    """

    SAMPLE = {"hyperparameters": {"num_blocks": 1, "feed_forward_size": 512}}

    HEAD_DEFAULTS = {"MoeModel": {"num_mixtures": 5}}
    ARGUMENTS = {
        "sampling": "sequence",
        "num_samples": 5,
        "skip_head": 0,
        "skip_tail": 0,
        "stride": 1,
        "normalize": True,
        "num_blocks": 2,
        "num_heads": 12,
        "feed_forward_size": 3072,
        "dropout": 0.1,
        "pooling": "mean",
        "epsilon": 1e-12,
        **FrameModel.HEAD_ARGUMENTS,
    }

    def check_arguments(self):
        check_positive(self, "num_blocks", "num_heads", "feed_forward_size")
        check_share(self, "dropout")
        check_choice("pooling", self.pooling, POOLINGS)

    def encode(self, frames, mask):
        block = {"activation": "gelu", "dropout": self.dropout, "kernel_stddev": 0.02, "epsilon": self.epsilon}
        x = frames
        for number in range(1, self.num_blocks + 1):
            x = TransformerBlock(self.num_heads, self.feed_forward_size, **block, name=f"block_{number}")(x, mask=mask)
        if self.pooling == "mean":
            return FramePooling("average", name="pooling")(x, mask=mask)
        return WeightedPooling(self.pooling, name="pooling")(x, mask=mask)
