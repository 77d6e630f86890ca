"""Layers in which frames meet, in two halves: what is made of each frame by itself, and what of some frames together."""

from keras import layers


class FramePool(layers.Layer):
    """A pooling of frames whose work on single frames can be done once for all the windows that have a frame in them.

    Shapes: x [B, T, F], mask bool [B, T] or None -> what `pool` gives.
    """

    def describe(self, x, mask=None, training=None):
        """What the layer makes of each frame by itself, in inference; in training batch norms look at all real frames.

        Returns:
            tuple of tensors [B, T, ...]; the padding's may be anything.
        """
        raise NotImplementedError

    def pool(self, described, mask=None, training=None):
        """What the layer gives for rows of frames.

        Args:
            described: what `describe` returned, or frames picked from it, tensors [B, T', ...].
            mask: bool [B, T'], which of them count; None: all.
            training: for a training step.
        """
        raise NotImplementedError

    def call(self, x, mask=None, training=None):
        return self.pool(self.describe(x, mask, training), mask, training)
