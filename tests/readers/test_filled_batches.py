"""Batches of whole videos that have no more than so many segments together."""

import itertools

import numpy as np
import pytest

from tests.readers.reading import arrays, assert_equal, ids, spec_of
from tests.testing import make_video, write_frame_shards
from yt8m.readers.batches import count_filled_batches, training_batches
from yt8m.readers.rows import filled
from yt8m.readers.spec import SegmentsInVideos, VideosWithSegments

SIZE = 7


def references(sizes):
    numbers = np.arange(len(sizes))
    return np.stack([numbers * 0, numbers, sizes], axis=1)


@pytest.mark.parametrize("least", [1, 3])
def test_a_batch_is_as_full_as_whole_videos_make_it(least):
    rows = references(np.random.default_rng(0).integers(1, 6, 50))
    batches = list(filled([rows], SIZE, least))
    np.testing.assert_array_equal(np.concatenate(batches), rows)
    for batch, following in itertools.pairwise(batches):
        segments = batch[:, 2].sum()
        assert segments <= SIZE or len(batch) == least
        assert segments + following[0, 2] > SIZE and len(batch) >= least


def test_where_the_arrays_end_does_not_matter():
    rows = references(np.random.default_rng(1).integers(1, 10, 40))
    whole = list(filled([rows], SIZE))
    for cuts in ([1, 2, 3], [11, 30], range(40)):
        assert_same(list(filled(np.split(rows, cuts), SIZE)), whole)


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others):
        np.testing.assert_array_equal(batch, other)


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """17 rated videos of 1 to 4 rated segments and some without, in 3 shards."""
    rng, videos = np.random.default_rng(2), []
    for number in range(20):
        starts = sorted(rng.permutation(4)[: rng.integers(1, 5)].tolist()) if number % 6 else []
        videos.append(make_video(f"v{number:02d}", 22, [1], [(5 * start, number % 10, 1.0) for start in starts]))
    return write_frame_shards(tmp_path_factory.mktemp("rated"), [videos[:6], videos[6:13], videos[13:]])


@pytest.mark.parametrize("kind", [VideosWithSegments, SegmentsInVideos])
def test_segments_are_counted_not_videos(rated, kind):
    batches = arrays(training_batches(spec_of(rated, kind=kind), SIZE, 1, num_epochs=2, count_segments=True))
    segments = [len(batch["labels"]) for batch in batches]
    assert max(segments) <= SIZE and min(segments[:-1]) > SIZE - 4
    videos = sorted(ids(batches))
    assert len(videos) == 2 * len(set(videos)) and len({len(batch["ids"]) for batch in batches}) > 1
    assert count_filled_batches(spec_of(rated, kind=kind), SIZE, 1, 2) == len(batches)


@pytest.mark.parametrize("start_step", [1, 5, 11])
def test_a_run_that_goes_on_has_the_same_batches(rated, start_step):
    def run(start):
        return arrays(
            training_batches(spec_of(rated, kind=VideosWithSegments), SIZE, 3, start, 3, shuffle_shards=2, count_segments=True)
        )

    assert_equal(run(start_step), run(0)[start_step:])


@pytest.mark.parametrize("count", [2, 3])
def test_devices_share_the_same_batch(rated, count):
    spec = spec_of(rated, kind=VideosWithSegments)

    def run(worker):
        return arrays(training_batches(spec, 4 * count, 3, worker=worker, count_segments=True).take(8))

    parts = [run((index, count)) for index in range(count)]
    for step, batch in enumerate(run((0, 1))):
        for index in range(count):
            np.testing.assert_array_equal(parts[index][step]["ids"], batch["ids"][index::count])
            assert len(parts[index][step]["ids"])
        assert sum(len(part[step]["labels"]) for part in parts) == len(batch["labels"]) <= 4 * count


def test_every_device_has_a_video(rated):
    spec = spec_of(rated, kind=VideosWithSegments)
    for index in range(3):
        batches = arrays(training_batches(spec, 2, 3, worker=(index, 3), count_segments=True).take(6))
        assert [len(batch["ids"]) for batch in batches] == [1] * 6


def test_steps_of_several_devices_are_full(rated):
    spec = spec_of(rated, kind=VideosWithSegments)
    batches = [len(batch["labels"]) for batch in arrays(training_batches(spec, 8, 1, num_epochs=3, count_segments=True))]
    assert count_filled_batches(spec, 8, 1, 3, workers=2) == len(batches) - (batches[-1] < 8)
