"""Shards of a few videos, sidecars and score stores for them."""

import dataclasses

import numpy as np

from tests.testing import FEATURE_NAMES, FEATURE_SIZES, make_segments
from yt8m.readers.sidecars import SidecarHeader, write_sidecar
from yt8m.readers.spec import RatedSegments
from yt8m.readers.stores import StoreConfig, create_store

CLASSES = 6
LENGTHS = {"a": 12, "b": 5, "c": 21, "d": 9, "e": 7}
PSEUDO = {"a": [(0, 1, 1.0), (10, 2, 1.0)], "c": [(5, 1, 1.0), (5, 4, 1.0)], "d": [(0, 0, 1.0)]}


def write_sidecars(folder, dense=True, **changes):
    for number, names in enumerate(("ab", "cd", "e")):
        header = SidecarHeader(f"validate{number:04d}.tfrecord", len(names), CLASSES, dense=dense)
        annotations = [(name, make_segments(PSEUDO.get(name, ()))) for name in names]
        write_sidecar(folder, dataclasses.replace(header, **changes), annotations)
    return str(folder)


def spec(pattern, kind=RatedSegments, **changes):
    return kind(pattern, FEATURE_NAMES, FEATURE_SIZES, num_classes=CLASSES, **changes)


def write_store(folder, label_ids, seed, kind="segments"):
    """Scores of every segment (or video) of LENGTHS; returns (folder, {(id, start): scores})."""
    store, rng, scores = create_store(folder, StoreConfig(kind, label_ids)), np.random.default_rng(seed), {}
    for number, names in enumerate(("ab", "cd", "e")):
        with store.writer(f"validate{number:04d}.tfrecord") as shard:
            for name in names:
                starts = np.arange(0, LENGTHS[name], 5) if kind == "segments" else None
                values = np.rint(rng.random((1 if starts is None else len(starts), len(label_ids))) * 9999) / 9999
                shard.add([name] * len(values), starts, values)
                scores |= {(name, start): value for start, value in zip([0] if starts is None else starts.tolist(), values)}
    return str(folder), scores
