"""Records that are legal, but not laid out as the dataset's are."""

import tensorflow as tf

from yt8m.readers import records, wire


def fuzzed(video, rng):
    """The bytes of the same video in some other legal layout."""
    plain = tf.train.SequenceExample.FromString(records.encode_video(video))
    extra = tf.train.SequenceExample()
    extra.feature_lists.feature_list["other"].feature.add().int64_list.value.append(7)
    extra.context.feature["note"].bytes_list.value.append(b"x" * 200)
    parts = []
    for name, feature in plain.context.feature.items():
        part = tf.train.Features(feature={name: feature}).SerializeToString()
        parts.append(wire.field(0x0A, part))
    for name, feature_list in plain.feature_lists.feature_list.items():
        key, value = wire.field(0x0A, name.encode()), wire.field(0x12, feature_list.SerializeToString())
        parts.append(wire.field(0x12, wire.field(0x0A, value + key if rng.random() < 0.5 else key + value)))
    if rng.random() < 0.5:
        parts.append(extra.SerializeToString())
    if rng.random() < 0.3:
        parts.append(b"\x98\x06\x05")  # an unknown varint field, number 99
    return b"".join(parts[i] for i in rng.permutation(len(parts)))
