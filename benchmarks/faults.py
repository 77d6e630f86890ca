"""Is anything lost, and does every fault end in one line? Kills, damaged records, damaged state, full disks.

  python benchmarks/faults.py                  100 kills, 10,000 damaged records, 300 shards, 100 states, full disks
  python benchmarks/faults.py --quick          a few of each, within two minutes
  python benchmarks/faults.py --only kills --results DIR          one campaign; DIR keeps what is done, and is gone on with

A kill is SIGKILL at a random moment of a command, which is then given again until it ends; the result must be that of a run that
nobody killed, bit for bit, with nothing unfinished left beside it. A damaged record has right checksums. The table counts trials
and failures; every failure is printed with its seed.
"""

import contextlib
import functools
import hashlib
import io
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
TINY = {"feature_names": "rgb,audio", "feature_sizes": "16,8", "num_classes": 7}
UNFINISHED = (".part", ".partial", ".earlier", ".tmp", "_temp")
KILLS, RECORDS, SHARDS, STATES = 100, 10_000, 300, 100
FLAGS = [f"--{name}={value}" for name, value in TINY.items()]
TRAINED = ["--model=FrameLevelLogisticModel", "--max_steps=40", "--save_steps=5", "--batch_size=4", *FLAGS]


def make_shards(folder):
    """Tiny native shards: {"train", "rated", "test"} -> pattern."""
    from tests.testing import make_video, write_frame_shards

    rng, patterns = np.random.default_rng(0), {}
    for part in ("train", "rated", "test"):
        os.makedirs(folder / part)
        videos = [
            [
                make_video(
                    f"{part}{shard}{number}",
                    int(rng.integers(6, 40)),
                    rng.integers(0, 7, 2),
                    [(0, number % 7, number % 2), (5, (number + 1) % 7, 1.0)] if part == "rated" else (),
                )
                for number in range(12)
            ]
            for shard in range(4)
        ]
        patterns[part] = write_frame_shards(folder / part, videos)
    return patterns


# ---------------------------------------------------------------- kills


def killed_commands(shards, run):
    """{name: [(prepared once, command that is killed)]} -> commands as lists of arguments; `run` is their folder."""
    train = ["train.py", f"--train_data_pattern={shards['train']}", f"--train_dir={run}/model", *TRAINED]
    tune = ["train.py", "--stage=finetune", f"--train_data_pattern={shards['rated']}", f"--train_dir={run}/model", *TRAINED]
    em = [
        "train.py", "--stage=em", f"--train_data_pattern={shards['train']}", f"--rated_data_pattern={shards['rated']}",
        f"--train_dir={run}/model", "--em_iterations=1", "--em_threshold=0.5", "--folds=2", *TRAINED, "--max_steps=10",
    ]  # fmt: skip
    score = [
        "inference.py", "--segment_labels", f"--input_data_pattern={shards['test']}", f"--train_dir={run}/model",
        f"--output_file={run}/out.csv", "--batch_size=2",
    ]  # fmt: skip
    export = ["export_model.py", f"--train_dir={run}/model", f"--output_dir={run}/export", "--formats=float32"]
    sample = ["-m", "yt8m.cli.app", "sample", "--num_train_videos=60", "--num_validate_videos=20", "--num_test_videos=10",
              "--num_classes=20", "--num_segment_classes=8", "--mean_frames=20", f"--output_dir={run}/sample"]  # fmt: skip
    return {
        "pretrain": ([], train),
        "finetune": ([train], tune),
        "em": ([], em),
        "inference with a store": ([train], [*score, f"--scores_output={run}/scores"]),
        "export": ([train], export),
        "sample": ([], sample),
        "worker": ([train], [*score, "--num_workers=2", "--worker_index=0"]),
    }


def start(arguments, cache):
    """The command as a process of its own."""
    environment = {**os.environ, "YT8M_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3", "YT8M_STATE": str(cache)}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(arguments, cache):
    """Runs a command to its end; returns the seconds it took."""
    began, process = time.monotonic(), start(arguments, cache)
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {process.returncode}: {output.decode()[-800:]}")
    return time.monotonic() - began


def digest(folder):
    """{file or tensor: digest} of the newest checkpoints and other results in a folder."""
    import tensorflow as tf

    digests = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "checkpoint":
            reader = tf.train.load_checkpoint(str(path.parent))
            for tensor in reader.get_variable_to_shape_map():
                if not tensor.startswith(("_", "save_counter")):
                    digests[f"{name}:{tensor}"] = hashlib.sha256(np.asarray(reader.get_tensor(tensor)).tobytes()).hexdigest()
        elif path.is_file() and path.suffix in (".csv", ".tflite", ".tfrecord", ".npy", ".npz"):
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


def leftovers(folder):
    """Unfinished files and folders below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if any(mark in path.name for mark in UNFINISHED)]


def kill_trial(name, shards, folder, cache, whole, seconds, seed):
    """One killed run; returns what is wrong, or None."""
    rng, run = random.Random(seed), folder / f"kill-{name.replace(' ', '-')}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    before, command = killed_commands(shards, run)[name]
    for arguments in before:
        finish(arguments, cache)
    process = start(command, cache)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(rng.uniform(0.2, 1.0) * seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finish(command, cache)
    result, left = digest(run), leftovers(run)
    if result != whole:
        different = [key for key in {*result, *whole} if result.get(key) != whole.get(key)]
        return f"{name}, seed {seed}: other results: {different[:3]}"
    if left:
        return f"{name}, seed {seed}: left behind: {left[:3]}"
    shutil.rmtree(run)
    return None


def kills(folder, quick, done):
    """The campaign of kills: {name: (trials, failures)}."""
    shards, cache = make_shards(folder / "shards") if not (folder / "shards").exists() else patterns_of(folder), folder / "cache"
    names = list(killed_commands(shards, folder))
    wanted = names[1:2] if quick else [names[i % len(names)] for i in range(KILLS)]
    wholes = {}
    for seed, name in enumerate(wanted):
        key = f"kill {seed} {name}"
        if key in done:
            continue
        if name not in wholes:
            run = folder / f"whole-{name.replace(' ', '-')}"
            shutil.rmtree(run, ignore_errors=True)
            before, command = killed_commands(shards, run)[name]
            for arguments in before:
                finish(arguments, cache)
            wholes[name] = (finish(command, cache), digest(run))
        seconds, whole = wholes[name]
        try:
            wrong = kill_trial(name, shards, folder, cache, whole, seconds, seed)
        except RuntimeError as error:
            wrong = f"{name}, seed {seed}: {error}"
        yield key, name, wrong


def patterns_of(folder):
    """What make_shards returned for this folder."""
    return {part: str(folder / "shards" / part / "validate*.tfrecord") for part in ("train", "rated", "test")}


# ---------------------------------------------------------------- damage


def damaged(content, rng):
    """Bytes with one to three changes: a byte, a stretch left out, repeated or zeroed, or the end cut off."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(content) or 1), rng.randint(1, 40)
        change = rng.randrange(5)
        if change == 0 and content:
            content[at] = rng.randrange(256)
        elif change == 1:
            del content[at : at + length]
        elif change == 2:
            content[at:at] = content[at : at + length]
        elif change == 3:
            content[at : at + length] = bytes(len(content[at : at + length]))
        else:
            del content[at + 1 :]
    return bytes(content)


def one_line(call):
    """Runs a function; what is wrong with how it ended, or None: it may end well, or in a UserError of one line."""
    from yt8m.errors import UserError

    try:
        with report.quiet(), contextlib.redirect_stderr(io.StringIO()):
            call()
    except UserError as error:
        return "two lines: " + str(error)[:200] if "\n" in str(error) else None
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return None


def records(folder, quick, done):
    """Damaged records through the decoders."""
    from tests.testing import make_video
    from yt8m.readers import records as formats

    names, sizes = ("rgb", "audio"), (16, 8)
    frames = formats.encode_video(make_video("abcd", 9, [1, 2], [(0, 1, 1.0), (5, 2, 0.0)]))
    features = formats.encode_video_features("abcd", [1], dict(zip(names, map(np.ones, sizes))))
    decoders = {
        "frames": (frames, lambda record: formats.decode_video(record, names, sizes)),
        "context": (frames, formats.decode_context),
        "count of frames": (frames, lambda record: formats.count_frames(record, names, sizes)),
        "features": (features, lambda record: formats.decode_video_features(record, names, sizes)),
    }
    for seed in range(400 if quick else RECORDS):
        name = list(decoders)[seed % len(decoders)]
        record, decode = decoders[name]
        record = damaged(record, random.Random(seed)) or b"\0"
        wrong = one_line(lambda record=record, decode=decode: decode(record))
        yield f"record {seed}", "decoders", wrong and f"{name}, seed {seed}: {wrong}"


class TinyRuns:
    """A trained frame-level and a video-level model, the records they were trained on, and the commands that read records."""

    def __init__(self, where):
        import yt8m
        from tests.testing import make_video
        from yt8m.readers.records import encode_video, encode_video_features, write_shard

        rows = [(f"v{i}", [i % 7], {"mean_rgb": np.ones(16), "mean_audio": np.ones(8)}) for i in range(6)]
        videos = [make_video(f"v{i}", 9, [i % 7], [(0, i % 7, i % 2)]) for i in range(6)]
        self.where, options = where, {"batch_size": 4, "max_steps": 2, **TINY}
        self.records = {"frame": [encode_video(v) for v in videos], "video": [encode_video_features(*row) for row in rows]}
        self.flags = {
            "frame": {"model": "FrameLevelLogisticModel", **options},
            "video": {"model": "LogisticModel", **options, "feature_names": "mean_rgb,mean_audio"},
        }
        for level, contents in self.records.items():
            write_shard(where / f"{level}.tfrecord", contents)
            with report.quiet():
                yt8m.train(train_data_pattern=str(where / f"{level}.tfrecord"), train_dir=str(where / level), **self.flags[level])

    def read(self, command, level, path):
        """Gives a shard to a command, called from Python."""
        import yt8m

        run, fresh = str(self.where / level), str(self.where / "fresh")
        if command == "train":
            shutil.rmtree(fresh, ignore_errors=True)
            yt8m.train(train_data_pattern=str(path), train_dir=fresh, **self.flags[level])
        elif command == "evaluate":
            yt8m.evaluate(eval_data_pattern=str(path), train_dir=run, run_once=True)
        else:
            yt8m.inference(input_data_pattern=str(path), train_dir=run, output_file=str(self.where / "out.csv"))


def shards(folder, quick, done):
    """Damaged shards, their checksums right, through training, evaluation and inference."""
    from yt8m.readers.records import write_shard

    where = pathlib.Path(tempfile.mkdtemp(dir=folder))
    runs = TinyRuns(where)
    for seed in range(9 if quick else SHARDS):
        rng, path = random.Random(seed), where / f"damaged{seed}.tfrecord"
        level, command = ("frame", "video")[seed % 2], ("train", "evaluate", "inference")[seed // 2 % 3]
        contents = list(runs.records[level])
        contents[rng.randrange(len(contents))] = damaged(rng.choice(contents), rng) or b"\0"
        write_shard(path, contents)
        wrong = one_line(functools.partial(runs.read, command, level, path))
        yield f"shard {seed}", f"{command}, {level} level", wrong and f"seed {seed}, {path}: {wrong}"


class TinyState:
    """A run with all that a run leaves, and the results that it gives."""

    def __init__(self, where):
        self.where, self.run, self.bundle = where, where / "run", where / "model.tgz"
        self.data, self.scores = make_shards(where / "shards"), where / "scores"
        os.environ["YT8M_CACHE"] = str(where / "cache")
        with report.quiet():
            self.train()
            stored = self.score(train_dir=str(self.run), scores_output=str(self.scores), output_model_tgz=str(self.bundle))
            self.expected = {True: stored, False: self.score(train_dir=str(self.run))}  # a store's scores are quantised

    def files(self):
        """{what: the file, or the folder of files, that holds it}."""
        newest = max(self.run.glob("model.ckpt-*.index"), key=lambda path: int(path.stem.rpartition("-")[2])).stem
        return {
            "checkpoint, index": self.run / f"{newest}.index",
            "checkpoint, data": next(self.run.glob(f"{newest}.data*")),
            "checkpoint, state": self.run / "checkpoint",
            "model_flags.json": self.run / "model_flags.json",
            "store, settings": self.scores / "store.json",
            "store, scores": next(path for path in sorted(self.scores.iterdir()) if path.name != "store.json"),
            "cache": self.where / "cache" / "index",
            "bundle": self.bundle,
        }

    def train(self):
        """The run's command, which has nothing to do when the run is whole."""
        import yt8m

        options = {"model": "FrameLevelLogisticModel", "max_steps": 20, "save_steps": 5, "batch_size": 4, **TINY}
        yt8m.train(train_data_pattern=self.data["train"], train_dir=str(self.run), **options)

    def score(self, **flags):
        """The CSV of the test shards, as bytes."""
        import yt8m

        output = self.where / "out.csv"
        yt8m.inference(segment_labels=True, input_data_pattern=self.data["test"], output_file=str(output), **flags)
        return output.read_bytes()

    def use(self, what):
        """Uses what was damaged; what is wrong with the result, or None."""
        if what.startswith(("checkpoint", "model_flags")):
            before = {path.name for path in self.run.glob("model.ckpt-*")}
            self.train()
            lost = before - {path.name for path in self.run.glob("model.ckpt-*")}
            if lost and what.startswith("checkpoint"):
                raise RuntimeError(f"checkpoints are gone: {sorted(lost)}")
            return
        forget_shards()
        if what == "bundle":
            csv = self.score(input_model_tgz=str(self.bundle), untar_model_dir=str(self.where / "untarred"))
        else:
            store = {"scores_output": str(self.scores)} if what.startswith("store") else {}
            csv = self.score(train_dir=str(self.run), **store)
        if csv != self.expected[what.startswith("store")]:
            raise RuntimeError("another CSV, silently")


def forget_shards():
    """Lets this process open shards and read their cached indexes anew."""
    from yt8m.readers import index

    index._lengths.cache_clear()
    index._LOCAL.clear()


def states(folder, quick, done):
    """Damaged checkpoints, flags, stores, cache and bundles: the command ends in a line, or as if nothing had been damaged."""
    state = TinyState(pathlib.Path(tempfile.mkdtemp(dir=folder)))
    files, snapshot = state.files(), state.where / "snapshot"
    shutil.copytree(state.run, snapshot)
    for seed in range(len(files) if quick else STATES):
        what, rng = list(files)[seed % len(files)], random.Random(seed)
        path = rng.choice(sorted(files[what].iterdir())) if files[what].is_dir() else files[what]
        content = path.read_bytes()
        path.write_bytes(damaged(content, rng))
        if rng.random() < 0.15:
            path.unlink()
        wrong = one_line(functools.partial(state.use, what))
        yield f"state {seed}", what, wrong and f"seed {seed}: {wrong}"
        shutil.rmtree(state.run)
        shutil.copytree(snapshot, state.run)
        path.write_bytes(content)


# ---------------------------------------------------------------- full disks


def full_disks(folder, quick, done):
    """Every command that writes, on a file system of so many KiB: one line that says so, and nothing unfinished is left."""
    cache, place = folder / "cache", pathlib.Path(tempfile.mkdtemp(dir=folder))
    data = patterns_of(folder) if (folder / "shards").exists() else make_shards(folder / "shards")
    whole = folder / "model-for-full-disks"
    if not (whole / "model").exists():
        finish(killed_commands(data, whole)["pretrain"][1], cache)
    for name in ("pretrain", "inference with a store", "export", "sample"):
        for kib in (8,) if quick else (4, 8, 24, 64, 128):
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(place)], capture_output=True).returncode:
                print("full disks: no file system can be mounted here (that takes root); not tried")
                return
            try:
                command = [str(word).replace(f"--train_dir={place}/model", f"--train_dir={whole}/model")
                           if name != "pretrain" else word for word in killed_commands(data, place)[name][1]]  # fmt: skip
                process = start(command, cache)
                text = process.communicate()[0].decode()
                left = leftovers(place)
            finally:
                subprocess.run(["umount", str(place)], check=True)
            wrong = None
            if process.returncode and ("Traceback" in text or "No space left on device" not in text.splitlines()[-1]):
                wrong = f"{kib} KiB: exit {process.returncode}: {text[-300:]}"
            elif process.returncode and left:
                wrong = f"{kib} KiB: left behind: {left}"
            yield f"disk {name} {kib}", f"full disk, {name}", wrong


# ---------------------------------------------------------------- all of it

CAMPAIGNS = {"kills": kills, "records": records, "shards": shards, "states": states, "disks": full_disks}


def main():
    parser = report.arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=CAMPAIGNS, default=list(CAMPAIGNS))
    parser.add_argument("--most", type=int, help="trials of each campaign; --results goes on with the rest")
    parser.add_argument("--results", help="folder to work in and go on with; default: a temporary one")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = pathlib.Path(options.results or tempfile.mkdtemp(prefix="faults-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "trials.jsonl"
    done = {trial["key"]: trial for trial in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    rows = []
    for name in options.only:
        began = time.monotonic()
        for key, group, wrong in itertools.islice(CAMPAIGNS[name](folder, options.quick, done), options.most):
            done[key] = {"key": key, "campaign": name, "group": group, "wrong": wrong}
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps(done[key]) + "\n")
            if wrong:
                print(f"FAILED: {key}: {wrong}", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        for group in sorted({trial["group"] for trial in done.values() if trial["campaign"] == name}):
            trials = [trial for trial in done.values() if trial["campaign"] == name and trial["group"] == group]
            failures = sum(trial["wrong"] is not None for trial in trials)
            rows.append(report.row(f"{name}: {group}", failures, f"failures of {len(trials)}", goal="0", met=failures == 0))
    report.show("Faults", rows, options.json)
    sys.exit(any(row["value"] for row in rows))


if __name__ == "__main__":
    main()
