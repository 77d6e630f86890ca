"""inference.py: stores, resuming, workers, ensembles, shifts and skipped segments, as a user runs them."""

import csv
import json
import os
import shutil

import keras
import numpy as np
import pytest

from tests import commands
from tests.readers.damage import flip
from tests.testing import make_video, write_frame_shards, write_video_shards
from yt8m import config as configs
from yt8m.errors import UserError
from yt8m.readers import patterns, records
from yt8m.readers.index import open_shard
from yt8m.readers.stores import open_store
from yt8m.scoring import infer, scan
from yt8m.scoring.scorer import Member, Scorer
from yt8m.training import checkpoints, restore

CONTEXT = {
    "context_model": "AttentionModel",
    "context_options": {"hidden_size": 6},
    "segment_model": "AttentionModel",
    "segment_options": {"hidden_size": 5},
    "segment_layer": None,
    "hidden_size": 8,
}
FRAME = {"feature_names": ("rgb", "audio"), "feature_sizes": (16, 8), "num_classes": 7}
VIDEO = {**FRAME, "feature_names": ("mean_rgb", "mean_audio"), "frame_features": False}
RUNS = {
    "frame": configs.ModelConfig("FrameLevelLogisticModel", segment_expansion=1, **FRAME),
    "short": configs.ModelConfig("FrameLevelLogisticModel", max_frames=15, **FRAME),
    "video": configs.ModelConfig("LogisticModel", **VIDEO),
    "sequence": configs.ModelConfig("TransformerModel", {"num_blocks": 1}, **FRAME),
    "context": configs.ModelConfig("ContextAwareModel", CONTEXT, **FRAME),
    "some": configs.ModelConfig("FrameLevelLogisticModel", label_ids=(5, 2, 3), **FRAME),
    "on_means": configs.ModelConfig("LogisticModel", **FRAME),
    "others": configs.ModelConfig("FrameLevelLogisticModel", label_ids=(0, 1), **FRAME),
    "rgb": configs.ModelConfig("FrameLevelLogisticModel", **{**FRAME, "feature_names": ("rgb",), "feature_sizes": (16,)}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train_dirs of untrained models whose predictions differ."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, (name, config) in enumerate(RUNS.items()):
        configs.write_model_config(folder / name, config)
        model = restore.build(config)
        rng = np.random.default_rng(seed)
        model.set_weights([weight + rng.normal(0, 0.3, weight.shape).astype(np.float32) for weight in model.get_weights()])
        save(folder / name, model)
    return folder


def save(folder, model):
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    checkpoints.Checkpoints(str(folder), model, optimizer).save()


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """Frame-level shards: videos of 1 to 39 frames, each with doubles (ties) in other shards, and an empty shard."""
    lengths = (39, 1, 5, 23, 30, 12, 17, 4, 26)
    videos = [make_video(f"v{i:02d}", lengths[i % 9], labels=[i % 7], seed=i % 9) for i in range(25)]
    shards = [videos[:7], [], videos[7:9], videos[9:20], videos[20:]]
    return write_frame_shards(tmp_path_factory.mktemp("shards"), shards, "test")


def run(runs, pattern, output, *more, model="frame", segments=True):
    """Runs inference.py; None when it ends well, else its error line."""
    folders = ",".join(str(runs / name) for name in model.split(","))
    arguments = ["--segment_labels", f"--segment_label_ids_file={ids_file(runs, range(7))}"] if segments else []
    given = [argument for argument in arguments if not any(str(m).startswith(argument.split("=")[0] + "=") for m in more)]
    return commands.run(
        "inference", f"--train_dir={folders}", f"--input_data_pattern={pattern}", f"--output_file={output}", *given, *more
    )


def ids_file(folder, ids):
    path = folder / f"ids_{'_'.join(map(str, ids))}.csv"
    path.write_text("Index\n" + "\n".join(map(str, ids)) + "\n")
    return path


def content(folder):
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


def ranked(path):
    """{class: its segments}."""
    with open(path) as file:
        return {int(row[0]): row[1].split() for row in list(csv.reader(file))[1:]}


def stored(folder):
    """{shard: {(id, start): scores}} in the store's order."""
    store = open_store(folder)
    found = {}
    for shard in store.shards():
        part = store.read(shard)
        starts = [None] * len(part.ids) if part.starts is None else part.starts.tolist()
        found[shard] = dict(zip(zip(part.ids.tolist(), starts), part.scores()))
    return found


def flat(folder):
    return {key: scores for part in stored(folder).values() for key, scores in part.items()}


def by_hand(runs, name, pattern, expansion):
    """{(id, start): scores} of a frame-level model, a call a segment."""
    model, found = restore.newest(str(runs / name)).model, {}
    for path in patterns.match_files(pattern):
        shard = open_shard(path)
        for number in range(len(shard)):
            video = records.decode_video(shard.record(number), ("rgb", "audio"), (16, 8))
            frames = np.concatenate([video.frames["rgb"], video.frames["audio"]], axis=1)
            for start in range(0, len(frames), 5):
                window = frames[max(start - expansion, 0) : start + 5 + expansion][None]
                inputs = {"frames": window, "num_frames": np.array([window.shape[1]], np.int32)}
                found[video.id, start] = np.asarray(model(inputs))[0]
    return found


@pytest.mark.parametrize("dtype", ["uint16", "float16"])
def test_store_and_csv(runs, pattern, tmp_path, dtype):
    flags = [f"--scores_output={tmp_path / 'store'}", f"--scores_dtype={dtype}"]
    assert run(runs, pattern, tmp_path / "out.csv", *flags) is None
    expected, found = by_hand(runs, "frame", pattern, 1), flat(tmp_path / "store")
    assert list(found) == list(expected)
    tolerance = {"atol": 5.1e-5} if dtype == "uint16" else {"rtol": 6e-4}
    np.testing.assert_allclose(list(found.values()), list(expected.values()), **tolerance)
    store = open_store(tmp_path / "store")
    assert store.config.kind == "segments" and store.config.label_ids == tuple(range(7)) and store.config.dtype == dtype
    assert store.shards() == [f"test{i:04d}.tfrecord" for i in range(5)]
    (member,) = store.config.run["members"]
    assert member["model"] == "FrameLevelLogisticModel" and member["checkpoint"] == "frame/model.ckpt-0"
    scores = np.array(list(found.values()))
    names = [f"{name}:{start}" for name, start in found]
    for label, segments in ranked(tmp_path / "out.csv").items():
        order = np.lexsort((np.arange(len(names)), -scores[:, label]))
        assert segments == [names[i] for i in order]


def test_a_store_that_was_interrupted(runs, pattern, tmp_path, capsys):
    def score(name, csv=""):
        return run(runs, pattern, csv, f"--scores_output={tmp_path / name}", "--segment_max_pred=9")

    assert score("whole", tmp_path / "whole.csv") is None
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    for name in ("test0002.tfrecord.segments.csv", "test0003.tfrecord.scores.npy", "test0003.tfrecord.segments.csv"):
        (tmp_path / "parts" / name).unlink()
    capsys.readouterr()
    assert score("parts", tmp_path / "parts.csv") is None
    assert "3 of 5 shards" in capsys.readouterr().out
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert score("alone") is None
    assert content(tmp_path / "alone") == content(tmp_path / "whole")
    assert not list(tmp_path.glob("*/*.partial*"))


@pytest.mark.parametrize("segments", [True, False])
def test_repeated_ids_are_said_once_with_their_number(runs, tmp_path, capsys, segments):
    videos = [make_video(id, 12, seed=seed) for seed, id in enumerate(("v1", "v2", "v1", "v3", "v3", "v1"))]
    pattern = write_frame_shards(tmp_path / "data", [videos[:3], videos[3:]], "test")
    for _ in range(2):  # scored, then read from the store
        assert run(runs, pattern, tmp_path / "out.csv", f"--scores_output={tmp_path / 'store'}", segments=segments) is None
        assert capsys.readouterr().out.count("3 of 6 videos have the id of an earlier one") == 1
    assert run(runs, write_frame_shards(tmp_path / "more", [videos[1:4]]), tmp_path / "out.csv", segments=segments) is None
    assert "have the id" not in capsys.readouterr().out


@pytest.mark.parametrize("skipped", [(), ("--skip_head_segments=1",)])
def test_a_shard_that_has_changed_since_it_was_scored(runs, tmp_path, skipped):
    videos = [make_video(f"v{seed}", 12, seed=seed) for seed in range(4)]
    store = f"--scores_output={tmp_path / 'store'}"

    def score(*shard):
        return run(runs, write_frame_shards(tmp_path / "data", [shard], "test"), tmp_path / "out.csv", store, *skipped)

    assert score(*videos[:2]) is None
    assert score(*videos[:2]) is None
    for shard in (videos, [videos[1], videos[0]], [videos[0], make_video("v1", 15, seed=1)]):  # more, in another order, longer
        line = score(*shard)
        assert "test0000.tfrecord has changed since it was scored" in line and "--scores_output" in line
    sums = tmp_path / "store" / "test0000.tfrecord.sums.json"
    values = json.loads(sums.read_text())
    del values["source"]  # as earlier versions wrote them
    sums.write_text(json.dumps(values))
    assert score(*videos) is None
    assert "has no video v0" in score(*videos[1:])


def test_a_flipped_byte_of_a_store_does_not_change_the_csv(runs, pattern, tmp_path):
    store = f"--scores_output={tmp_path / 'store'}"
    assert run(runs, pattern, tmp_path / "whole.csv", store) is None
    path = tmp_path / "store" / "test0003.tfrecord.scores.npy"
    flip(path, 200)
    line = run(runs, pattern, tmp_path / "out.csv", store)
    assert str(path) in line and "Delete the shard's files; score it again" in line and "\n" not in line
    assert not (tmp_path / "out.csv").exists()
    for name in (tmp_path / "store").glob("test0003*"):
        name.unlink()
    assert run(runs, pattern, tmp_path / "out.csv", store) is None
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_interrupted_while_scoring(runs, pattern, tmp_path, monkeypatch):
    scores, calls = Scorer.scores, []

    def failing(self, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return scores(self, batch)

    monkeypatch.setattr(Scorer, "scores", failing)
    assert run(runs, pattern, tmp_path / "out.csv", f"--scores_output={tmp_path / 'store'}") == 130
    assert os.listdir(tmp_path) == ["store"]
    assert open_store(tmp_path / "store").shards() == [f"test{i:04d}.tfrecord" for i in range(3)]


def test_stores_do_not_mix(runs, pattern, tmp_path):
    store = f"--scores_output={tmp_path / 'store'}"
    assert run(runs, pattern, "", store) is None
    for more, field in (
        (["--scores_dtype=float16"], "dtype"),
        (["--skip_head_segments=1"], "run.skip_head_segments"),
        (["--segment_shifts=1"], "run.segment_shifts"),
        ([f"--segment_label_ids_file={ids_file(runs, [1, 2])}"], "label_ids"),
    ):
        line = run(runs, pattern, tmp_path / "out.csv", store, *more)
        assert field in line and str(tmp_path / "store") in line and len(line.splitlines()) == 1
    assert "run.members" in run(runs, pattern, "", store, model="frame,frame")
    shutil.copytree(runs / "frame", tmp_path / "frame")
    assert run(tmp_path, pattern, "", store) is None  # the same model, moved
    model = restore.newest(str(tmp_path / "frame")).model
    model.set_weights([weight + 1e-3 for weight in model.get_weights()])
    save(tmp_path / "frame", model)
    assert "run.members[0].sha256" in run(tmp_path, pattern, "", store)
    assert not (tmp_path / "out.csv").exists()


def test_another_file_of_a_stored_name(runs, pattern, tmp_path):
    store = f"--scores_output={tmp_path / 'store'}"
    assert run(runs, pattern, "", store) is None
    other = write_frame_shards(tmp_path / "other", [[make_video("x00", 12)]], "test")
    for output in (tmp_path / "out.csv", ""):
        line = run(runs, other, output, store)
        assert "test0000.tfrecord has no video v00" in line and "--scores_output" in line
    line = run(runs, f"{pattern},{other}", tmp_path / "out.csv", store)
    assert "test0000.tfrecord and" in line


@pytest.mark.parametrize("name", ["my clip", "a,b", "=1", "v" * 251])
def test_ids_that_no_csv_can_hold_are_refused_before_their_shard_is_scored(runs, tmp_path, capsys, name):
    pattern = write_frame_shards(tmp_path / "data", [[make_video(name, 12)]])
    for more in ([], ["--worker_index=0", "--num_workers=1"]):
        line = run(runs, pattern, tmp_path / "out.csv", *more)
        assert f"video id '{name[:40]}" in line and len(line.splitlines()) == 1
        assert "a second" not in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["data"]
    assert run(runs, pattern, "", f"--scores_output={tmp_path / 'store'}") is None


def test_a_partial_result_of_other_shards_of_the_same_names(runs, pattern, tmp_path):
    output, two = tmp_path / "out.csv", "--num_workers=2"
    for data, index in ((pattern, 1), (write_frame_shards(tmp_path / "new", [[make_video("x", 12)]] * 5, "test"), 0)):
        assert run(runs, data, output, f"--worker_index={index}", two) is None
    line = run(runs, pattern, output, "--merge_workers", two)
    assert "are of different runs: shards[0][1]" in line and not output.exists()


@pytest.mark.parametrize("num_workers", [1, 2, 7])
@pytest.mark.parametrize("more", [[], ["--scores_output=store", "--segment_shifts=1", "--skip_head_segments=1"]])
def test_merged_workers_equal_one(runs, pattern, tmp_path, monkeypatch, capsys, num_workers, more):
    monkeypatch.chdir(tmp_path)
    more = ["--segment_max_pred=11", *more]
    assert run(runs, pattern, "one.csv", *more) is None
    shutil.rmtree("store", ignore_errors=True)
    for index in reversed(range(num_workers)):
        assert run(runs, pattern, "many.csv", *more, f"--worker_index={index}", f"--num_workers={num_workers}") is None
        assert "--merge_workers" in capsys.readouterr().out
    assert not os.path.exists("many.csv")
    assert run(runs, pattern, "many.csv", "--merge_workers", f"--num_workers={num_workers}") is None
    assert (tmp_path / "many.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    lines = ranked("one.csv")
    assert [len(line) for line in lines.values()] == [11] * 7
    names = [segment for line in lines.values() for segment in line]
    assert len(set(names)) > 11
    assert run(runs, pattern, "few.csv", "--segment_max_pred=4", *more[1:]) is None
    assert run(runs, pattern, "many.csv", "--merge_workers", f"--num_workers={num_workers}", "--segment_max_pred=4") is None
    assert (tmp_path / "many.csv").read_bytes() == (tmp_path / "few.csv").read_bytes()


def test_workers_that_do_not_belong_together(runs, pattern, tmp_path):
    output, two = tmp_path / "out.csv", "--num_workers=2"

    def merge(*more):
        return run(runs, pattern, output, "--merge_workers", two, *more)

    assert run(runs, pattern, output, "--worker_index=0", two, "--segment_max_pred=5") is None
    assert "worker-00001-of-00002.npz is missing" in merge() and "--worker_index=1" in merge()
    for more, field in (
        (["--segment_max_pred=6"], "max_pred"),
        (["--segment_max_pred=5", "--segment_shifts=1"], "run.segment_shifts"),
        (["--segment_max_pred=5", f"--scores_output={tmp_path / 'store'}"], "stored_as"),
    ):
        assert run(runs, pattern, output, "--worker_index=1", two, *more) is None
        assert "different runs" in merge() and field in merge()
    assert run(runs, pattern, output, "--worker_index=1", two, "--segment_max_pred=5") is None
    assert "--segment_max_pred=6" in merge("--segment_max_pred=6")
    path = tmp_path / "out.csv.worker-00001-of-00002.npz"
    whole = path.read_bytes()
    at = whole.index(b"scores.3.npy") + 165  # in the scores
    flipped = whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
    for damaged in (whole[:-30], whole[:50], b"", flipped, whole.replace(b"scores.6", b"scores.9")):
        path.write_bytes(damaged)
        line = merge()
        assert path.name in line and len(line.splitlines()) == 1
        assert not output.exists()
    path.write_bytes(whole)
    assert merge() is None


@pytest.mark.parametrize(
    ("members", "weights"),
    [
        ("frame,video", None),
        pytest.param("frame,sequence,context", (1, 2, 0.5), marks=pytest.mark.slow),
        ("short,frame,some", (3, 1, 1)),
        ("video,frame", (1, 0)),
        ("frame,short", (0, 1)),
    ],
)
def test_one_pass_equals_the_mean_of_stores(runs, pattern, tmp_path, members, weights):
    ids, names = (2, 3, 5), members.split(",")
    flags = [f"--segment_label_ids_file={ids_file(runs, ids)}", "--segment_shifts=1"]
    for name in names:
        assert run(runs, pattern, "", f"--scores_output={tmp_path / name}", *flags, model=name) is None
    given = [] if weights is None else [f"--weights={','.join(map(str, weights))}"]
    assert run(runs, pattern, tmp_path / "out.csv", f"--scores_output={tmp_path / 'all'}", *flags, *given, model=members) is None
    weights = np.ones(len(names)) if weights is None else weights
    found, alone = flat(tmp_path / "all"), [flat(tmp_path / name) for name in names]
    assert set(found) == set().union(*(own for weight, own in zip(weights, alone) if weight))
    for segment, scores in found.items():
        parts = [(weight, own[segment]) for weight, own in zip(weights, alone) if segment in own]
        expected = sum(weight * own for weight, own in parts) / sum(weight for weight, _ in parts)
        np.testing.assert_allclose(scores, expected, atol=1.1e-4)
    if "short" in names:
        own = len(alone[names.index("short")])
        assert own == len(found) if "frame" not in [name for name, weight in zip(names, weights) if weight] else own < len(found)


@pytest.mark.parametrize("kind", ["segments", "videos"])
def test_the_mean_of_logits(runs, pattern, tmp_path, kind):
    """Also of segments that one of the models does not reach; a store says so, and a model alone is as ever."""
    trained = [restore.newest(str(runs / name)) for name in ("frame", "short")]
    members = [Member(run.model, run.config, weight) for run, weight in zip(trained, (3, 1))]

    def stored(name, members, of_logits=True):
        scorer = Scorer(members, kind, (2, 3, 5), of_logits=of_logits)
        job = scan.Job(pattern, scores_output=tmp_path / name, scores_dtype="float16")
        (infer.rank_segments if kind == "segments" else infer.rank_classes)(scorer, job)
        return flat(tmp_path / name), open_store(tmp_path / name).config.run

    (frame, alone), (short, _) = (stored(name, [member]) for name, member in zip(("frame", "short"), members))
    plain, as_ever = stored("plain", members[:1], of_logits=False)
    assert as_ever == alone and all((plain[row] == scores).all() for row, scores in frame.items())
    found, made_by = stored("both", members)
    assert made_by["mean_of"] == "logits" and set(found) == set(frame) >= set(short)
    for row, scores in found.items():
        parts = [(weight, np.clip(of[row], 1e-7, 1 - 1e-7)) for weight, of in ((3, frame), (1, short)) if row in of]
        logits = sum(weight * np.log(p / (1 - p)) for weight, p in parts) / sum(weight for weight, _ in parts)
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=2e-3)


def test_ensembles_that_cannot_be(runs, pattern, tmp_path):
    def line(model, *more, segments=True):
        text = run(runs, pattern, tmp_path / "out.csv", *more, model=model, segments=segments)
        assert isinstance(text, str) and len(text.splitlines()) == 1 and not os.listdir(tmp_path)
        return text

    assert "2 values for 3 --train_dir" in line("frame,video,short", "--weights=1,2")
    assert "--weights=1,-2" in line("frame,video", "--weights=1,-2")
    assert "--weights=0,0" in line("frame,video", "--weights=0,0")
    assert "--weights=1,nan" in line("frame,video", "--weights=1,nan")
    assert "--weights=1,x" in line("frame,video", "--weights=1,x")
    assert "feature_names" in line("frame,rgb")
    assert "frame_features" in line("frame,video", segments=False)
    assert "some/model.ckpt-0" in line("frame,some") and "4 of its 7" in line("frame,some")
    assert "others/model.ckpt-0 does not predict 2 of the 3" not in line("frame,others,some")
    assert "--segment_labels" in line("frame,context", segments=False)


def test_the_smallest_set_of_classes_is_scored(runs, pattern, tmp_path):
    arguments = ("--segment_labels", f"--train_dir={runs / 'frame'},{runs / 'some'}", f"--input_data_pattern={pattern}")
    assert commands.run("inference", *arguments, f"--output_file={tmp_path / 'out.csv'}") is None
    assert list(ranked(tmp_path / "out.csv")) == [5, 2, 3]
    line = commands.run("inference", arguments[0], f"{arguments[1]},{runs / 'others'}", arguments[2])
    assert "does not predict 2 of the 2 classes" in line and "--segment_label_ids_file" in line


@pytest.mark.parametrize(("model", "head", "tail"), [("frame", 2, 0), ("frame", 0, 1), ("sequence", 1, 2), ("context", 1, 1)])
def test_skipped_segments_are_those_of_the_full_csv_filtered(runs, pattern, tmp_path, capsys, model, head, tail):
    assert run(runs, pattern, tmp_path / "all.csv", f"--scores_output={tmp_path / 'all'}", model=model) is None
    capsys.readouterr()
    flags = [f"--skip_head_segments={head}", f"--skip_tail_segments={tail}", f"--scores_output={tmp_path / 'some'}"]
    assert run(runs, pattern, tmp_path / "some.csv", *flags, model=model) is None
    printed = capsys.readouterr().out
    everything = ranked(tmp_path / "all.csv")
    count = {}
    for segment in everything[0]:
        count[segment[:3]] = count.get(segment[:3], 0) + 1
    kept = {f"{video}:{5 * i}" for video, n in count.items() for i in range(head, n - tail)}
    assert ranked(tmp_path / "some.csv") == {label: [s for s in line if s in kept] for label, line in everything.items()}
    without = sum(n <= head + tail for n in count.values())
    assert f"{len(everything[0]) - len(kept)} segments; {without} of 25 videos have none left" in printed


@pytest.mark.parametrize("model", ["frame", "on_means", "frame,on_means"])
def test_scores_of_videos(runs, pattern, tmp_path, model):
    flags = [f"--scores_output={tmp_path / 'store'}"]
    assert run(runs, pattern, tmp_path / "out.csv", *flags, model=model, segments=False) is None
    found = flat(tmp_path / "store")
    assert [video for video, _ in found] == [f"v{i:02d}" for i in range(25)]
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert len(lines) == 26
    for line, scores in zip(lines[1:], found.values()):
        pairs = line.split(",")[1].split()
        np.testing.assert_allclose([float(value) for value in pairs[1::2]], np.sort(scores)[::-1], rtol=1e-5)
    before = content(tmp_path / "store")
    (tmp_path / "store" / "test0000.tfrecord.scores.npy").unlink()
    assert run(runs, pattern, tmp_path / "again.csv", *flags, model=model, segments=False) is None
    assert content(tmp_path / "store") == before
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_means_of_frames_are_those_of_the_reader(runs, pattern, tmp_path):
    for name, weights in (("on_means", []), ("frame,on_means", ["--weights=0,1"])):
        flags = [f"--scores_output={tmp_path / name}", *weights]
        assert run(runs, pattern, "", *flags, model=name, segments=False) is None
    one, other = flat(tmp_path / "on_means"), flat(tmp_path / "frame,on_means")
    np.testing.assert_allclose(list(one.values()), list(other.values()), atol=1.1e-4)


def test_a_video_level_ensemble_on_video_level_records(runs, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"v{i}", [1], {"mean_rgb": rng.normal(size=16), "mean_audio": rng.normal(size=8)}) for i in range(5)]
    pattern = write_video_shards(tmp_path / "data", [rows[:3], rows[3:]])
    for name in ("video", "video,video"):
        assert run(runs, pattern, tmp_path / f"{name}.csv", model=name, segments=False) is None
    assert (tmp_path / "video.csv").read_text() == (tmp_path / "video,video.csv").read_text()


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--output_file="], ["--output_file=", "--scores_output"]),
        (["--worker_index=2", "--num_workers=2"], ["--worker_index=2", "0 to 1"]),
        (["--worker_index=-1", "--num_workers=2"], ["--worker_index=-1", "0 to 1"]),
        (["--worker_index=0"], ["--num_workers"]),
        (["--num_workers=2"], ["--worker_index"]),
        (["--num_workers=0", "--worker_index=0"], ["--num_workers=0"]),
        (["--merge_workers"], ["--num_workers"]),
        (["--merge_workers", "--worker_index=0", "--num_workers=2"], ["--merge_workers"]),
        (["--segment_shifts=-1"], ["--segment_shifts=-1"]),
        (["--skip_tail_segments=-1"], ["--skip_tail_segments=-1"]),
        (["--nosegment_labels", "--segment_shifts=1"], ["--segment_shifts", "--segment_labels"]),
        (["--nosegment_labels", "--skip_head_segments=1"], ["--skip_head_segments", "--segment_labels"]),
        (["--nosegment_labels", "--worker_index=0", "--num_workers=2"], ["--worker_index", "--scores_output"]),
        (["--checkpoint=a,b"], ["--checkpoint=a,b", "2 values for 1"]),
        (["--scores_dtype=int8"], ["scores_dtype"]),
        (["--scores_dtype=float16"], ["--scores_dtype=float16", "--scores_output"]),
        (["--id_feature=video_id"], ["--id_feature=video_id", "has id"]),
        (["--output_file=new/"], ["--output_file=new/: is a folder"]),
        (["--output_file=."], ["--output_file=.: is a folder"]),
    ],
)
def test_flags_that_do_not_go_together(runs, pattern, tmp_path, more, parts, capsys):
    line = run(runs, pattern, tmp_path / "out.csv", *more)
    assert isinstance(line, str) and len(line.splitlines()) == 1 and not os.listdir(tmp_path)
    for part in parts:
        assert part in line
    assert "a second" not in capsys.readouterr().out


def test_a_bundle_has_one_model(runs, pattern, tmp_path):
    for fold in range(2):
        shutil.copytree(runs / "frame", tmp_path / "all" / f"fold_{fold}")
    line = commands.run(
        "inference",
        f"--train_dir={tmp_path / 'all'}",
        f"--input_data_pattern={pattern}",
        f"--output_file={tmp_path / 'out.csv'}",
        f"--output_model_tgz={tmp_path / 'm.tgz'}",
    )
    assert "--output_model_tgz packs one model" in line and "fold_0" in line and "\n" not in line
    assert os.listdir(tmp_path) == ["all"]


@pytest.mark.parametrize(
    ("segments", "flags"), [(True, ["--top_k=20"]), (False, ["--segment_max_pred=9"]), (True, ["--untar_model_dir=x"])]
)
def test_flags_of_the_starter_that_do_nothing_are_said(runs, pattern, tmp_path, capsys, segments, flags):
    assert run(runs, pattern, tmp_path / "plain.csv", segments=segments) is None
    assert "without effect" not in capsys.readouterr().out
    assert run(runs, pattern, tmp_path / "out.csv", *flags, segments=segments) is None
    assert f"{flags[0]}: without effect, since " in capsys.readouterr().out
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_outputs_that_cannot_be_written(runs, pattern, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for more in (
        [f"--scores_output={tmp_path / 'file' / 'store'}"],
        [f"--output_file={tmp_path / 'file' / 'out.csv'}", "--worker_index=0", "--num_workers=1"],
    ):
        line = run(runs, pattern, tmp_path / "out.csv", *more)
        assert str(tmp_path / "file") in line and len(line.splitlines()) == 1
        assert "a second" not in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["file"]


def test_shards_without_a_record(runs, tmp_path):
    pattern = write_frame_shards(tmp_path / "data", [[], []])
    assert "no record" in run(runs, pattern, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_the_functions_of_a_library_user(runs, pattern, tmp_path):
    trained = restore.newest(str(runs / "frame"))
    infer.segments(trained.model, trained.config, pattern, tmp_path / "a.csv", tuple(range(7)), 10, 4)
    assert run(runs, pattern, tmp_path / "b.csv", "--segment_max_pred=10", "--batch_size=4") is None
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    infer.videos(trained.model, trained.config, pattern, tmp_path / "videos.csv", top_k=2)
    assert len((tmp_path / "videos.csv").read_text().splitlines()) == 26
    scorer = Scorer([Member(trained.model, trained.config)])
    infer.rank_segments(scorer, scan.Job(pattern, scores_output=tmp_path / "store"))
    assert len(open_store(tmp_path / "store").shards()) == 5


def test_a_damaged_shard_is_named(runs, pattern, tmp_path):
    for path in patterns.match_files(pattern):
        shutil.copy(path, tmp_path)
    path = tmp_path / "test0003.tfrecord"
    path.write_bytes(path.read_bytes()[:-50])
    trained = restore.newest(str(runs / "frame"))
    job = scan.Job(str(tmp_path / "*.tfrecord"), scores_output=tmp_path / "store")
    with pytest.raises(UserError, match="test0003"):
        infer.rank_segments(Scorer([Member(trained.model, trained.config)]), job)
    assert open_store(tmp_path / "store").shards() == [f"test{i:04d}.tfrecord" for i in range(3)]


def test_candidates_by_the_scores_of_whole_videos(runs, pattern, tmp_path):
    """Segments of the class's three best videos, then what fills; of filters that leave everything the plain ranking."""
    plain, everything, few = (tmp_path / f"{name}.csv" for name in ("plain", "everything", "few"))
    videos, segments = tmp_path / "videos", f"--scores_output={tmp_path / 'segments'}"
    assert run(runs, pattern, "", f"--scores_output={videos}", model="frame", segments=False) is None
    assert run(runs, pattern, plain, segments) is None
    assert run(runs, pattern, everything, segments, f"--video_scores={videos}", "--candidate_classes=7") is None
    assert everything.read_bytes() == plain.read_bytes()
    filters = (f"--video_scores={videos}", "--candidate_videos=3", f"--fill_scores={videos}", "--segment_max_pred=40")
    assert run(runs, pattern, few, segments, *filters) is None
    scores = {video: of_video for (video, _), of_video in flat(videos).items()}
    for label, listed in ranked(few).items():
        best = sorted(scores, key=lambda video, label=label: -scores[video][label])  # the videos' ids are in their order
        names = [segment.split(":")[0] for segment in listed]
        proposed = sum(name in best[:3] for name in names)
        assert listed[:proposed] == [segment for segment in ranked(plain)[label] if segment.split(":")[0] in best[:3]]
        assert names[proposed:] == sorted(names[proposed:], key=best.index) and len(listed) == len(set(listed)) == 40
