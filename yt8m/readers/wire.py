"""The bytes of protobuf messages in the usual layout of this dataset's records, written and read without protobuf."""

import functools

import numpy as np


def encode_varint(value):
    """The bytes of a non-negative int."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(tag, payload):
    """The bytes of a length-delimited field."""
    return bytes([tag]) + encode_varint(len(payload)) + payload


@functools.cache
def frame_header(size):
    """What precedes the bytes of a frame on the wire: FeatureList.feature, Feature.bytes_list, BytesList.value."""
    value = b"\x0a" + encode_varint(size)
    bytes_list = b"\x0a" + encode_varint(len(value) + size)
    return b"\x0a" + encode_varint(len(bytes_list) + len(value) + size) + bytes_list + value


class UnusualLayout(Exception):
    """A layout that the byte parser leaves to protobuf's parser."""


def decode_varint(view, at, end):
    """(the int that begins at view[at], where it ends); UnusualLayout where it does not end before `end`."""
    value = shift = 0
    while at < end and shift < 63:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise UnusualLayout


def fields_of(view, at, end):
    """Yields (tag, start, end) of the length-delimited fields in view[at:end]."""
    while at < end:
        tag = view[at]
        if tag & 0x87 != 2:  # not length-delimited, or a field number above 15
            raise UnusualLayout
        size, at = decode_varint(view, at + 1, end)
        if at + size > end:
            raise UnusualLayout
        yield tag, at, at + size
        at += size


def entries_of(view, at, end):
    """Yields (key, start, end) of the entries in a protobuf map from strings to messages."""
    for tag, entry_start, entry_end in fields_of(view, at, end):
        fields = list(fields_of(view, entry_start, entry_end))
        if tag != 0x0A or [field[0] for field in fields] != [0x0A, 0x12]:
            raise UnusualLayout
        (_, key_start, key_end), (_, value_start, value_end) = fields
        yield bytes(view[key_start:key_end]), value_start, value_end


@functools.cache
def floats_header(size):
    """What precedes `size` bytes of packed floats on the wire: Feature.float_list, FloatList.value."""
    value = b"\x0a" + encode_varint(size)
    return b"\x12" + encode_varint(len(value) + size) + value


def float_features(view, at, end):
    """{feature: (begin, end)} in the Example view[at:end]; UnusualLayout where it is none of the usual."""
    features = {}
    for tag, first, last in fields_of(view, at, end):
        if tag == 0x0A:
            features.update((key, (begin, stop)) for key, begin, stop in entries_of(view, first, last))
        elif last > first:  # a SequenceExample
            raise UnusualLayout
    return features


def frame_lists(view, at, end):
    """{feature: (begin, end)} of the frames in the SequenceExample view[at:end]; UnusualLayout where it is none of the usual."""
    lists = {}
    for tag, first, last in fields_of(view, at, end):
        if tag == 0x12:
            lists.update((key, (begin, stop)) for key, begin, stop in entries_of(view, first, last))
    return lists


def first_size(view, at, end, tags):
    """Bytes of the innermost of the fields with these tags that view[at:end] begins with; UnusualLayout where it does not."""
    for wanted in tags:
        tag, at, end = next(fields_of(view, at, end), (None, at, end))
        if tag != wanted:
            raise UnusualLayout
    return end - at


def first_field(record):
    """The bytes of field 1 with its tag: of a SequenceExample a tf.train.Example of its context; of an unusual record all."""
    view, parts, before = memoryview(record), [], 0
    try:
        for tag, _, end in fields_of(view, 0, len(view)):
            if tag == 0x0A:
                parts.append(bytes(view[before:end]))
            before = end
    except UnusualLayout:
        return bytes(record)
    return b"".join(parts)


def strided_frames(record, names, sizes, check=slice(None)):
    """{name: uint8 [T, size]} as views into the record, or None where a frame (of those to `check`) is not at its stride."""
    view = memoryview(record)
    try:
        places = frame_lists(view, 0, len(view))
    except UnusualLayout:
        return None
    data, frames = np.frombuffer(view, np.uint8), {}
    for name, size in zip(names, sizes, strict=True):
        if name.encode() not in places:
            return None
        start, end = places[name.encode()]
        header = np.frombuffer(frame_header(size), np.uint8)
        if (end - start) % (len(header) + size):
            return None
        strides = data[start:end].reshape(-1, len(header) + size)
        if not (strides[check, : len(header)] == header).all():
            return None
        frames[name] = strides[:, len(header) :]
    return frames


def strided_floats(payload, names, sizes):
    """{name: float32 [size]} from the bytes of a Features message, or None where a list is not packed in one piece."""
    view, places = memoryview(payload), {}
    try:
        for key, start, end in entries_of(view, 0, len(view)):
            places[key] = start, end
        features = {}
        for name, size in zip(names, sizes, strict=True):
            for tag in (0x12, 0x0A):  # Feature.float_list, FloatList.value (packed)
                fields = list(fields_of(view, *places.get(name.encode(), (0, 0))))
                if len(fields) != 1 or fields[0][0] != tag:
                    return None
                places[name.encode()] = fields[0][1:]
            start, end = places[name.encode()]
            if end - start != 4 * size:
                return None
            features[name] = np.frombuffer(view[start:end], "<f4")
    except UnusualLayout:
        return None
    return features
