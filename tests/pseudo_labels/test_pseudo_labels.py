"""Pseudo-labels: each class's best segments and the worst of the same videos, as a full sort would have them."""

import os

import numpy as np
import pytest

from tests import commands
from tests.testing import make_video, write_frame_shards
from yt8m.cli.pseudo_labels import COMMAND
from yt8m.errors import UserError
from yt8m.metrics import Ratings
from yt8m.pseudo_labels import stores as by_scores
from yt8m.pseudo_labels import writing
from yt8m.pseudo_labels.selection import Selection
from yt8m.pseudo_labels.stores import from_store
from yt8m.pseudo_labels.submissions import from_submission
from yt8m.readers import batches, patterns, sidecars, stores
from yt8m.readers.index import open_shard
from yt8m.readers.spec import RatedSegments
from yt8m.scoring.submission import write_submission

LABEL_IDS = (4, 9, 2)
IDS = [["aaaa", "bbbb", "cccc"], ["dddd", "eeee"], ["ffff", "gggg", "hhhh", "iiii"]]
SECONDS = [23, 30, 5, 41, 12, 30, 28, 9, 60]  # of the videos in turn


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path / "cache"))


class Data:
    """Shards of random videos, a store of distinct random scores, and all of it in one table."""

    def __init__(self, folder, dtype="uint16", ids=IDS, **config):
        rng, flat = np.random.default_rng(0), [id for shard in ids for id in shard]
        labels = {id: [LABEL_IDS[number % 3], 9] for number, id in enumerate(flat)}
        seconds = dict(zip(flat, SECONDS))
        pattern = [[make_video(id, seconds[id], labels[id]) for id in shard] for shard in ids]
        self.pattern = write_frame_shards(folder / "features", pattern, "test")
        self.files = patterns.match_files(self.pattern)
        self.labels, self.seconds = labels, seconds
        self.segments = [(id, start) for id in flat for start in range(0, seconds[id], 5)]
        grid = rng.permutation(9999)[: len(self.segments) * 3].reshape(-1, 3) + 1
        self.scores = (grid / 9999).astype(np.float32)  # [segments, classes], all different
        config = {"kind": "segments", "label_ids": LABEL_IDS, "dtype": dtype, "run": {"model": "M"}, **config}
        self.store = stores.create_store(folder / "scores", stores.StoreConfig(**config))
        for file, shard in zip(self.files, ids):
            self.write_scores(file, shard)

    def write_scores(self, file, shard):
        with self.store.writer(file) as writer:
            for id in shard:
                rows = [row for row, (video, _) in enumerate(self.segments) if video == id]
                writer.add([id] * len(rows), [self.segments[row][1] for row in rows], self.scores[rows])

    def chosen(self, selection, label_ids=LABEL_IDS):
        return pairs(self.files, from_store(self.store, self.files, label_ids, selection))

    def sorted_pairs(self, selection, label_ids=LABEL_IDS):
        """What `chosen` must give, by sorting everything."""
        found = {}
        for label in label_ids:
            column = LABEL_IDS.index(label)
            order = [(self.segments[row], self.scores[row, column]) for row in np.argsort(-self.scores[:, column])]
            allowed = [
                (segment, score) for segment, score in order
                if score >= selection.min_score and (not selection.video_labels_only or label in self.labels[segment[0]])
            ]  # fmt: skip
            positives = dict(allowed[: selection.top])
            videos = {id for id, _ in positives}
            others = [segment for segment, _ in order[::-1] if segment[0] in videos and segment not in positives]
            count = len(positives) if selection.negatives is None else selection.negatives
            found |= {(*segment, label): score if selection.soft else 1 for segment, score in positives.items()}
            found |= {(*segment, label): 0 for segment in others[:count]}
        return found


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


def pairs(files, shard_labels):
    """{(video, start, label): score}; nothing may come twice."""
    found, count = {}, 0
    for shard in shard_labels:
        ids = [shard.ids[row] for row in shard.rows.tolist()]
        found |= dict(zip(zip(ids, shard.starts.tolist(), shard.labels.tolist()), shard.scores.tolist()))
        count += len(ids)
    assert len(found) == count
    return found


def on_disk(folder, files):
    found = {}
    for file in files:
        sidecar = sidecars.open_sidecar(folder, file)
        for number in range(sidecar.header.num_records):
            segments = sidecar.segments(number)
            if segments is not None:
                for start, label, score in zip(segments.start_times, segments.labels, segments.scores):
                    found[sidecar.id(number), int(start), int(label)] = float(score)
    return found


def run(*arguments):
    COMMAND.run([str(argument) for argument in arguments], "yt8m pseudo-labels")


SMALL = ("--feature_sizes=16,8", "--num_classes=10")


# ---------------------------------------------------------------- by stored scores


@pytest.mark.parametrize(
    "selection",
    [
        Selection(top=1),
        Selection(top=7),
        Selection(top=1000),
        Selection(top=5, negatives=0),
        Selection(top=5, negatives=2),
        Selection(top=5, negatives=1000),
        Selection(top=10, min_score=0.8),
        Selection(top=10, soft=True),
        Selection(top=10, video_labels_only=True),
        Selection(top=10, video_labels_only=True, min_score=0.3, soft=True, negatives=3),
    ],
)
@pytest.mark.parametrize("scores_at_a_time", [1 << 22, 20])
def test_equals_a_sort_of_everything(data, selection, scores_at_a_time, monkeypatch):
    monkeypatch.setattr(by_scores, "_SCORES_AT_A_TIME", scores_at_a_time)
    found, expected = data.chosen(selection), data.sorted_pairs(selection)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], list(expected.values()), atol=1e-6)


def test_some_classes_in_another_order(data):
    selection = Selection(top=4)
    assert data.chosen(selection, (2, 4)) == data.sorted_pairs(selection, (2, 4))


def test_a_part_of_the_shards(data):
    files = data.files[1:2]
    found = pairs(files, from_store(data.store, files, LABEL_IDS, Selection(top=3)))
    assert {id for id, _, _ in found} <= set(IDS[1]) and len(found) == 18


def test_a_score_of_0_is_no_positive_and_equal_negatives_come_from_everywhere(tmp_path):
    ids = [[f"v{shard}{number:02d}" for number in range(3)] for shard in range(3)]
    data = Data(tmp_path, ids=ids)
    data.scores[:] = 0
    data.scores[[index for index, (_, start) in enumerate(data.segments) if start == 0], 1] = 0.5
    for file, shard in zip(data.files, ids):
        data.write_scores(file, shard)
    found = data.chosen(Selection(top=100))
    assert {label for _, _, label in found} == {9}
    assert {(id, start) for (id, start, _), score in found.items() if score} == {(id, 0) for shard in ids for id in shard}
    assert len(found) == 18 and len({id[:2] for (id, _, _), score in found.items() if not score}) == 3
    assert data.chosen(Selection(top=100)) == found


def test_scattered_rows_come_back():
    rows = np.append(np.arange(1000), [2**31, by_scores._PRIME - 1])
    scattered = by_scores._scattered(rows)
    np.testing.assert_array_equal(by_scores._gathered(scattered), rows)
    assert len(set(scattered.tolist())) == len(rows) and scattered.min() >= 0 and scattered.max() < 2**32 - 1
    with pytest.raises(UserError, match="more than"):
        by_scores._scattered(np.array([by_scores._PRIME]))


# ---------------------------------------------------------------- by a submission


def submission(data, path, n=None):
    lines = [[":".join(map(str, data.segments[row])) for row in np.argsort(-data.scores[:, column])] for column in range(3)]
    write_submission(path, LABEL_IDS, [line[:n] for line in lines])
    return path


def from_csv(data, path, selection, label_ids=None, files=None):
    files = data.files if files is None else files
    found, chosen = from_submission(path, files, label_ids, selection, feature_names=["rgb"], feature_sizes=[16])
    return found, pairs(files, chosen)


@pytest.mark.parametrize("selection", [Selection(top=4), Selection(top=4, video_labels_only=True)])
def test_positives_are_the_first_and_negatives_whole_segments_that_are_not_named(data, tmp_path, selection):
    path = submission(data, tmp_path / "s.csv", n=20)
    label_ids, found = from_csv(data, path, selection)
    expected = {pair for pair, score in data.sorted_pairs(selection).items() if score}
    assert label_ids == LABEL_IDS
    assert {pair for pair, score in found.items() if score == 1} == expected
    named = {(*segment.rsplit(":", 1), int(line.split(",")[0])) for line in path.read_text().splitlines()[1:]
             for segment in line.split(",")[1].split()}  # fmt: skip
    for label in LABEL_IDS:
        videos = {id for id, _, c in expected if c == label}
        possible = {(id, start, label) for id in videos for start in range(0, data.seconds[id] - 4, 5)
                    if (id, str(start), label) not in named}  # fmt: skip
        negatives = {pair for pair, score in found.items() if score == 0 and pair[2] == label}
        assert negatives <= possible and len(negatives) == min(4, len(possible)) > 0


def test_negatives_of_a_submission_follow_the_seed(data, tmp_path):
    path = submission(data, tmp_path / "s.csv", n=5)
    runs = [from_csv(data, path, Selection(top=4, seed=seed))[1] for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]
    none = from_csv(data, path, Selection(top=4, negatives=0))[1]
    assert len(none) == 12 and set(none.values()) == {1}


def test_a_submission_of_more_videos_and_classes_than_are_asked_for(data, tmp_path):
    path = submission(data, tmp_path / "s.csv")
    label_ids, found = from_csv(data, path, Selection(top=2, negatives=0), (2, 4, 7), data.files[1:2])
    assert label_ids == (4, 2)
    best = {}
    for label in label_ids:
        order = [data.segments[row] for row in np.argsort(-data.scores[:, LABEL_IDS.index(label)])]
        best[label] = [segment for segment in order if segment[0] in IDS[1]][:2]
    assert set(found) == {(*segment, label) for label, segments in best.items() for segment in segments}


def test_a_segment_that_is_listed_twice_counts_once(data, tmp_path):
    (tmp_path / "s.csv").write_text("4,aaaa:0 aaaa:0 aaaa:5 bbbb:0\n")
    _, found = from_csv(data, tmp_path / "s.csv", Selection(top=2, negatives=1000))
    assert found == {("aaaa", 0, 4): 1, ("aaaa", 5, 4): 1, ("aaaa", 10, 4): 0, ("aaaa", 15, 4): 0}


# ---------------------------------------------------------------- the command


def test_the_command_writes_sidecars_that_fit_the_shards(data, tmp_path, capsys):
    out = tmp_path / "labels"
    run(f"--scores={data.store.folder}", f"--data_pattern={data.pattern}", f"--output_dir={out}", "--top=6", *SMALL)
    assert on_disk(out, data.files) == data.sorted_pairs(Selection(top=6))
    for file in data.files:
        sidecar = sidecars.open_sidecar(out, file)
        for label_ids in (None, LABEL_IDS):
            sidecar.check(open_shard(file), file, 10, label_ids)
        assert not sidecar.header.dense and sidecar.header.label_ids == LABEL_IDS
        assert sidecar.header.source["run"] == {"model": "M"} and sidecar.header.source["top"] == 6
    text = capsys.readouterr().out
    assert f"{sidecars.size_of(out):,}" in text and f"{sum(map(os.path.getsize, data.files)):,}" in text
    assert f"--pseudo_labels={out} --pseudo_data_pattern='{data.pattern}'" in text


def test_paths_in_the_home_folder(data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    store = str(data.store.folder).replace(str(tmp_path), "~")
    assert store.startswith("~")
    run(f"--scores={store}", f"--data_pattern={data.pattern}", "--output_dir=~/labels", *SMALL)
    assert len(os.listdir(tmp_path / "labels")) == len(data.files)


def test_they_are_read_as_a_batch(data, tmp_path):
    out = tmp_path / "labels"
    run(f"--scores={data.store.folder}", f"--data_pattern={data.pattern}", f"--output_dir={out}", "--top=6", "--soft", *SMALL)
    expected = data.sorted_pairs(Selection(top=6, soft=True))
    spec = RatedSegments(data.pattern, ("rgb", "audio"), (16, 8), num_classes=10, annotations=str(out))
    found = {}
    for batch in batches.evaluation_batches(spec, 4):
        for id, start, values, weights in zip(*(batch[key].numpy() for key in ("ids", "start_times", "labels", "label_weights"))):
            found |= {(id.decode(), int(start), int(label)): values[label] for label in np.flatnonzero(weights)}
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], list(expected.values()), atol=1e-6)


def test_the_report_counts(data, tmp_path, capsys):
    files, selection = data.files, Selection(top=3, negatives=2)
    expected = data.sorted_pairs(selection)
    positives = [pair for pair, score in expected.items() if score]
    negatives = [pair for pair, score in expected.items() if not score]
    rated = [(*positives[0], 1), (*positives[1], 0), (*positives[2], 1), (*negatives[0], 0), ("zzzz", 0, 4, 1)]
    segments, classes, scores = zip(*((f"{id}:{start}", label, score) for id, start, label, score in rated))
    ratings = Ratings(np.array(segments), np.array(classes), np.array(scores))
    chosen = from_store(data.store, files, LABEL_IDS, selection)
    report = writing.write(tmp_path / "labels", files, chosen, 10, LABEL_IDS, {}, ratings)
    assert report.positives == {4: 3, 9: 3, 2: 3} and report.num_positives == 9 and report.negatives == len(negatives)
    assert (report.rated_positives, report.right_positives) == (3, 2)
    assert (report.rated_negatives, report.right_negatives) == (1, 1)
    assert (report.videos, report.annotated_videos) == (9, len({id for id, _, _ in expected}))
    assert report.sidecar_bytes == sidecars.size_of(tmp_path / "labels")
    assert report.feature_bytes == sum(map(os.path.getsize, files))
    writing.show(report, compared=True)
    assert "0.667" in capsys.readouterr().out


def test_a_submission_and_ratings_from_shards(data, tmp_path, capsys):
    path, out = submission(data, tmp_path / "s.csv", n=9), tmp_path / "labels"
    best = data.segments[np.argmax(data.scores[:, 0])]
    pattern = write_frame_shards(tmp_path / "rated", [[make_video(best[0], 60, ratings=[(best[1], 4, 1.0)])]])
    run(f"--submission_file={path}", f"--data_pattern={data.pattern}", f"--output_dir={out}", "--top=6",
        f"--eval_data_pattern={pattern}", *SMALL)  # fmt: skip
    found = on_disk(out, data.files)
    assert {pair for pair, score in found.items() if score} == {p for p, s in data.sorted_pairs(Selection(top=6)).items() if s}
    text = capsys.readouterr().out
    assert "1.000" in text and "none is rated" in text


def test_an_interrupted_run_leaves_no_older_labels_behind(data, tmp_path, monkeypatch):
    out = tmp_path / "labels"
    arguments = f"--scores={data.store.folder}", f"--data_pattern={data.pattern}", f"--output_dir={out}", *SMALL
    run(*arguments, "--top=2")
    write, calls = sidecars.write_sidecar, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(sidecars, "write_sidecar", failing)
    with pytest.raises(KeyboardInterrupt):
        run(*arguments, "--top=6")
    assert os.listdir(out) == ["test0000.tfrecord"]
    assert sidecars.open_sidecar(out, data.files[0]).header.source["top"] == 6
    monkeypatch.undo()
    run(*arguments, "--top=6")
    assert on_disk(out, data.files) == data.sorted_pairs(Selection(top=6))


def refused(line, function, *arguments):
    with pytest.raises(UserError, match=line) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments, line",
    [
        ([], "one of the arguments --scores --submission_file is required"),
        (["--scores=a", "--submission_file=b"], "not allowed with"),
        (["--scores={store}", "--top=0"], "--top=0: expected 1 or more"),
        (["--scores={store}", "--top=many"], "invalid int value: 'many'"),
        (["--scores={store}", "--negatives=-1"], "--negatives=-1"),
        (["--scores={store}", "--seed=-1"], "--seed=-1"),
        (["--scores={store}", "--min_score=2"], "--min_score=2.0: expected a score, 0 to 1"),
        (["--scores={store}", "--min_score=1"], "scores: no score is above 0 and at least --min_score=1.0"),
        (["--scores={features}"], "features: no scores there"),
        (["--scores={store}", "--num_classes=9"], "--num_classes=9: label id 9 was predicted. Use --num_classes=10"),
        (["--scores={store}", "--data_pattern=missing*"], "no file matches --data_pattern='missing"),
        (["--scores={store}", "--output_dir={features}"], "test0000.tfrecord is there and no sidecar: not overwritten"),
        (["--scores={store}", "--id_feature=video_id"], "shard test0000.tfrecord, record 0: has no id `video_id`"),
        (["--scores={store}", "--segment_label_ids_file={ids}"], "scores: 1 of 2 classes .7, ....* none of its 3"),
        (["--scores={store}", "--eval_data_pattern={features}/*0.tfrecord"], "no rated segment in --eval_data_pattern"),
        (["--submission_file={csv}", "--soft"], "has no scores: --soft and --min_score"),
        (["--submission_file={csv}", "--min_score=.5"], "has no scores: --soft and --min_score"),
        (["--submission_file=missing.csv"], "cannot read missing.csv"),
        (["--submission_file={csv}", "--feature_sizes=a"], "--feature_sizes=a: expected integers"),
        (["--submission_file={csv}", "--feature_sizes=16,9"], "record 0: has 8 bytes a frame in `audio`"),
        (["--submission_file={late}"], "late.csv, class 4: aaaa:25, but the video has 23 seconds"),
        (["--submission_file={others}"], "others.csv: none of its segments can be a positive"),
    ],
)
def test_bad_input(data, tmp_path, arguments, line):
    files = {"ids": "Index\n4\n7\n", "csv": "4,aaaa:0\n", "late": "4,aaaa:0 aaaa:25\n", "others": "4,zzzz:0\n"}
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text)
    names = {name: tmp_path / f"{name}.csv" for name in files} | {"store": data.store.folder, "features": tmp_path / "features"}
    given = [argument.format(**names) for argument in arguments]
    refused(line, run, f"--data_pattern={data.pattern}", f"--output_dir={tmp_path / 'labels'}", *SMALL, *given)
    assert not (tmp_path / "labels").exists() or not os.listdir(tmp_path / "labels")


def test_scores_of_other_data(data, tmp_path):
    write_frame_shards(tmp_path / "features", [[make_video(id) for id in ("aaaa", "bbbb", "xxxx")]], "test")
    refused("its scores of test0000.tfrecord are of video 'cccc', which the shard has not", data.chosen, Selection())
    os.remove(tmp_path / "scores" / "test0001.tfrecord.segments.csv")
    refused("1 of 3 shards have no scores in .*test0001.tfrecord, ....*--scores_output", data.chosen, Selection())


@pytest.mark.parametrize(
    "config, line", [({"segment_size": 10}, "segments of 10 seconds; expected 5"), ({"kind": "videos"}, "scores of videos")]
)
def test_scores_of_another_kind(data, tmp_path, config, line):
    config = {"kind": "segments", "label_ids": LABEL_IDS, **config}
    store = stores.create_store(tmp_path / "other", stores.StoreConfig(**config))
    refused(line, from_store, store, data.files, LABEL_IDS, Selection())


def test_a_video_that_is_there_twice(data, tmp_path):
    (tmp_path / "s.csv").write_text("4,aaaa:0\n")
    write_frame_shards(tmp_path / "two", [[make_video("aaaa")], [make_video("aaaa")]], "test")
    files = patterns.match_files(str(tmp_path / "two" / "*"))
    refused("video 'aaaa' is in --data_pattern more than once", from_csv, data, tmp_path / "s.csv", Selection(), None, files)
    write_frame_shards(tmp_path / "one", [[make_video("aaaa"), make_video("aaaa")]], "test")
    files = patterns.match_files(str(tmp_path / "one" / "*"))
    refused("test0000.tfrecord has video 'aaaa' more than once", from_csv, data, tmp_path / "s.csv", Selection(), None, files)


def test_from_a_shell_an_error_is_one_line(capsys):
    ended = commands.run("pseudo-labels", "--top=1")
    assert ended.startswith("yt8m pseudo-labels: error: ") and "\n" not in ended
