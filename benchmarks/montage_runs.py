"""One seed's runs on montages: trained in a work folder, scored, measured; a JSON line a row, none done twice."""

import dataclasses
import glob
import json
import os
import re
import shutil
import time

import keras
import montage_files
import montage_measures
import montage_ratings
import montage_rows
import numpy as np
import report
import tensorflow as tf

from yt8m import config, models, registry
from yt8m.ensembles import weights
from yt8m.errors import UserError
from yt8m.files import replacing, write_text
from yt8m.readers.records import decode_video
from yt8m.scoring import infer, scan
from yt8m.stages import averaging, by_name, em
from yt8m.training import restore

ROWS_FILE = "rows.jsonl"
_DONE = "trained.json"
_BATCH = 16


def slug(name):
    """A row's name as that of a file."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def read_rows(work, version):
    """{(row, seed): record} of a version of code and montages; lines of other versions stay where they are, unread."""
    path, rows = os.path.join(work, ROWS_FILE), {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                if record["version"] == version:
                    rows[record["row"], record["seed"]] = record
    return rows


def newest(work):
    """The Made montages and the version of the newest row in a work folder.

    Raises:
        UserError: there are no rows.
    """
    path = os.path.join(work, ROWS_FILE)
    if not os.path.exists(path):
        raise UserError(f"--work={work}: no {ROWS_FILE} there. Run benchmarks/montage.py with the same --work first.")
    with open(path, encoding="utf-8") as file:
        version = json.loads(file.readlines()[-1])["version"]
    return montage_files.read(os.path.join(work, version.split()[1])), version


def arguments(doc):
    """Parser of a benchmark that looks at runs of benchmarks/montage.py: report.arguments, the work folder, how many seeds."""
    parser = report.arguments(doc)
    parser.add_argument("--work", default="montage_work", help="work folder of benchmarks/montage.py")
    parser.add_argument("--seeds", type=int, default=3)
    return parser


def of_seeds(options):
    """Yields the Runs of each seed that the flags of `arguments` ask for, of the newest version in the work folder.

    Raises:
        UserError: there are no rows.
    """
    made, version = newest(options.work)
    for seed in range(1, options.seeds + 1):
        yield Runs(options.work, made, version, seed)


class Runs:
    """All runs of one seed.

    Args:
        work: folder; made: montage_files.Made; version: of the code and the montages, a text; seed: int; quick: few steps.

    Attributes:
        rows: {row: record} of what is done.
    """

    def __init__(self, work, made, version, seed, quick=False):
        self.work, self.made, self.version, self.seed, self.quick = work, made, version, seed, quick
        self.folder = os.path.join(work, "runs", slug(version), f"seed-{seed}")
        self.rows = {row: record for (row, of_seed), record in read_rows(work, version).items() if of_seed == seed}
        self.held_out, self.test = (montage_measures.part_of(made, name) for name in ("held_out", "test"))
        self.group, self._known = "", {}

    def path(self, name):
        """Folder of a run."""
        return os.path.join(self.folder, slug(name))

    @property
    def every_segment(self):
        """Pattern of the rated montages with every segment rated."""
        return montage_ratings.ensure_every_segment_rated(self.made)

    # ------------------------------------------------------------ training

    def model(self, key, precision="float32", loss="", segment_expansion=None, **hyperparameters):
        """ModelConfig of a model of montage_rows.MODELS; it sees as many frames beside a segment as in its paper.

        Args:
            key: of MODELS; precision: Keras' policy; loss: of LOSSES, "": the cross entropy; segment_expansion: None: as in its
                paper; **hyperparameters: beside the key's.
        """
        name, values = montage_rows.MODELS[key]
        label_loss, loss_options = montage_rows.LOSSES[loss] if loss else ("CrossEntropyLoss", {})
        if segment_expansion is None:
            segment_expansion = registry.get("model", name).SEGMENT_EXPANSION
        means = {} if models.takes_frames(name) else {"feature_names": ("mean_rgb", "mean_audio"), "frame_features": False}
        return config.ModelConfig(
            name,
            {**values, **hyperparameters},
            num_classes=self.made.num_classes,
            label_ids=tuple(self.made.segment_classes) if key in montage_rows.SEGMENT_CLASSES else None,
            segment_expansion=segment_expansion,
            precision=precision,
            label_loss=label_loss,
            loss_options=loss_options,
            **means,
        )

    def stage(self, key, stage, folder, **changes):
        """TrainConfig of a stage with the recipe of montage_rows."""
        own = montage_rows.RECIPES.get(key, {})
        pattern = self.made.rated_pattern if stage == "finetune" else self.made.train_pattern
        values = {"learning_rate_decay": 1.0, "learning_rate_decay_examples": 1e9, "batch_unit": "segments", "save_steps": 10**6,
                  "log_steps": 100, "seed": self.seed, "data_pattern": pattern,
                  **montage_rows.STAGES[stage], **own.get("", {}), **own.get(stage, {}), **changes}  # fmt: skip
        if self.quick:
            values["max_steps"] = montage_rows.QUICK_STEPS
            values["save_steps"] = min(values["save_steps"], montage_rows.QUICK_STEPS // 2)
        return config.TrainConfig(self.path(folder), stage, **values)

    def train(self, name, key, stage="finetune", start="", hyperparameters=None, checkpoints=None, loss="", **changes):
        """Trains a run and records its row; what is recorded is not done again.

        Args:
            name: of the run and its row.
            key: of montage_rows.MODELS.
            stage: of the training.
            start: name of the run it starts from.
            hyperparameters: beside the key's; precision too, where it is not float32.
            checkpoints: {"context_checkpoint" or "segment_checkpoint": name of a run}.
            loss: of montage_rows.LOSSES; "": the cross entropy.
            **changes: of the TrainConfig.
        """
        starts = {"init_checkpoint": start} if start else {}
        self._known[name] = key, stage, {**starts, **(checkpoints or {})}, {**(hyperparameters or {}), "loss": loss}, changes
        if name not in self.rows:
            model, model_config, took = self._made(name)
            self.judge(name, model, model_config, took)

    def _made(self, name):
        """A run's model, its ModelConfig and what it took; trained where its checkpoint is not there, or not any more."""
        key, stage, starts, hyperparameters, changes = self._known[name]
        done = os.path.join(self.path(name), _DONE)
        if os.path.exists(done):
            of_run = restore.newest(self.path(name))
            with open(done, encoding="utf-8") as file:
                return of_run.model, of_run.config, json.load(file)
        for run in starts.values():
            self._made(run)
        changes = {**changes, **{flag: self.path(run) for flag, run in starts.items()}}
        keras.utils.clear_session()
        shutil.rmtree(self.path(name), ignore_errors=True)
        model_config = self.model(key, **hyperparameters)
        began, processor = time.monotonic(), time.process_time()
        with report.quiet():
            model = by_name.FUNCTIONS[stage](self.stage(key, stage, name, **changes), model_config)
        if model is None:
            raise KeyboardInterrupt
        took = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - processor}
        write_text(done, json.dumps(took))
        return model, model_config, took

    def drop(self, *kept):
        """Removes the runs' checkpoints but those of these rows; rows, scores and what best.py has ranked stay."""
        keep = {slug(name) for name in kept} | {"scores", "rankers"}
        for path in glob.glob(os.path.join(self.folder, "*")):
            if os.path.basename(path) not in keep:
                shutil.rmtree(path, ignore_errors=True)

    # ------------------------------------------------------------ scores and rows

    def judge(self, name, model, model_config, took):
        """Scores both parts with a model, and records the row."""
        scores = {part.name: self.score(model, model_config, part) for part in (self.held_out, self.test)}
        more = {"model": model_config.model, "parameters": int(model.count_params()), **took}
        if hasattr(model, "set_probabilities"):
            more |= self.attention(model, model_config)
        self.keep(name, scores, **more)

    def score(self, model, model_config, part):
        """float32 [N, K]: what a model says of all segments of a part."""
        scorer = infer.Scorer([infer.Member(model, model_config, name="the model")], label_ids=self.made.segment_classes)
        kept = np.full(part.there.shape, np.nan, np.float32)

        def keep(ids, starts, scores):
            kept[np.array([part.first[id] for id in ids]) + np.asarray(starts) // 5] = scores

        pattern = self.made.test_pattern if part.name == "test" else self.made.held_out_pattern
        with report.quiet():
            scan.Scan(scorer, scan.Job(pattern, "kept here", batch_size=_BATCH)).run(keep)
        assert np.isfinite(kept).all()
        return kept

    def scores(self, name):
        """{part: float32 [N, K]} of a row."""
        with np.load(os.path.join(self.folder, "scores", slug(name) + ".npz")) as arrays:
            return {part: 1 / (1 + np.exp(-arrays[part].astype(np.float32))) for part in ("held_out", "test")}

    def keep(self, name, scores, **more):
        """Records a row of scores: their logits in a file, the measures as a line."""
        os.makedirs(os.path.join(self.folder, "scores"), exist_ok=True)
        with replacing(os.path.join(self.folder, "scores", slug(name) + ".npz")) as file:
            np.savez(file, **{part: montage_measures.logits(of).astype(np.float16) for part, of in scores.items()})
        record = {"row": name, "group": self.group, "seed": self.seed, "version": self.version,
                  **montage_measures.measures(self.held_out, self.test, scores), **more}  # fmt: skip
        with open(os.path.join(self.work, ROWS_FILE), "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.rows[name] = record
        seconds = f", {more['seconds']:.0f} s, {more['cpu_seconds']:.0f} s of processor" if "seconds" in more else ""
        print(f"seed {self.seed} | {name}: {record['map']:.4f} (held-out {record['held_out_map']:.4f}, all segments "
              f"{record['map_all']:.4f}{seconds})", flush=True)  # fmt: skip

    def averaged(self, name, run):
        """The mean of the weights of a run's checkpoints, as `yt8m average` makes it."""
        if name in self.rows:
            return
        *_, took = self._made(run)
        shutil.rmtree(self.path(name), ignore_errors=True)
        with report.quiet():
            averaging.average(self.path(run), self.path(name))
        of_run = restore.newest(self.path(name))
        self.judge(name, of_run.model, of_run.config, took)

    def mean(self, name, names):
        """The mean of rows' probabilities."""
        if name not in self.rows:
            of_rows = [self.scores(row) for row in names]
            self.keep(name, {part: np.mean([of[part] for of in of_rows], axis=0) for part in of_rows[0]})

    def fitted(self, name, names):
        """The mean with weights a class that are fitted on the held-out montages' ratings."""
        if name in self.rows:
            return
        of_rows, part = [self.scores(row) for row in names], self.held_out
        rated = np.stack([part.rated(of["held_out"]) for of in of_rows], axis=1)  # [n, members]
        of_classes = weights.fit(rated, part.labels, part.columns, part.num_classes)  # [members, K]
        self.keep(name, {key: sum(w * of[key] for w, of in zip(of_classes, of_rows)) for key in of_rows[0]})

    # ------------------------------------------------------------ attention

    def attention(self, model, model_config):
        """Where the winning sets look in whole montages, and how often each set wins on rated segments."""
        known, rated = model_config.label_ids, self.made.segment_classes
        columns = np.array(rated if known is None else [known.index(label) for label in rated])  # of the model's output
        where = [self._attention_of(model, columns, part) for part in (self.held_out, self.test)]
        by_segment = [{pair: montage_measures.over_segments(weights_) for pair, weights_ in of.items()} for of in where]
        parts = self.held_out, self.test
        return {
            "attention": montage_measures.localization_of(*parts, *where),
            "attention_by_segment": montage_measures.localization_of(*parts, *by_segment),
            **self._wins(model, columns),
        }

    def _attention_of(self, model, columns, part):
        """{(id, column): float [T]}: the weights of the set that says most of a class, mean over the features, its greatest 1."""
        wanted, found = {}, {}
        for id, column in part.pairs:
            wanted.setdefault(id, []).append(column)
        predict = tf.function(model.set_probabilities, reduce_retracing=True)
        for ids, frames, lengths in self.videos(part):
            probabilities, attention = predict({"frames": tf.constant(frames), "num_frames": tf.constant(lengths)})
            of_sets, weights_ = probabilities.numpy()[:, :, columns], attention.numpy().mean(axis=2)  # [B, M, K], [B, T, M]
            for row, id in enumerate(ids):
                for column in wanted.get(id, ()):
                    of_set = weights_[row, : lengths[row], of_sets[row, :, column].argmax()]
                    found[id, column] = of_set / max(of_set.max(), 1e-12)
        return found

    def _wins(self, model, columns):
        """Share of the rated test pairs that each set decides, and how many sets decide at least 1% of them."""
        of_rows, counts = {}, np.zeros(model.num_sets, int)
        for row, column in zip(self.test.rows.tolist(), self.test.columns.tolist()):
            of_rows.setdefault(row, []).append(column)
        predict = tf.function(model.set_probabilities, reduce_retracing=True)
        for ids, frames, _ in self.videos(self.test):
            segments, rated = [], []
            for index, id in enumerate(ids):
                rows = self.test.rows_of(id)
                for row in range(rows.start, rows.stop):
                    if row in of_rows:
                        start = 5 * (row - rows.start)
                        segments.append(frames[index, start : start + 5])
                        rated.append(of_rows[row])
            probabilities, _ = predict({"frames": tf.constant(np.array(segments)),
                                        "num_frames": tf.constant(np.full(len(segments), 5, np.int32))})  # fmt: skip
            winners = probabilities.numpy()[:, :, columns].argmax(axis=1)  # [segments, K]
            for row, of_segment in enumerate(rated):
                counts += np.bincount(winners[row, of_segment], minlength=len(counts))
        shares = counts / counts.sum()
        return {"set_shares": shares.round(4).tolist(), "sets_alive": int((shares >= 0.01).sum())}

    def videos(self, part):
        """Batches of (ids, frames uint8 [B, T, D], lengths int32 [B])."""
        pattern = self.made.test_pattern if part.name == "test" else self.made.held_out_pattern
        for path in sorted(glob.glob(pattern)):
            for batch in tf.data.TFRecordDataset(path).batch(_BATCH).as_numpy_iterator():
                videos = [decode_video(record, ("rgb", "audio"), (1024, 128)) for record in batch]
                lengths = np.array([len(video.frames["rgb"]) for video in videos], np.int32)
                frames = np.zeros((len(videos), lengths.max(), 1152), np.uint8)
                for row, video in enumerate(videos):
                    frames[row, : lengths[row]] = np.concatenate([video.frames["rgb"], video.frames["audio"]], axis=1)
                yield [video.id for video in videos], frames, lengths

    # ------------------------------------------------------------ stages of several runs

    def store(self, name, pattern, folder):
        """Scores of every segment by a run, as inference.py --scores_output writes them."""
        model, model_config, _ = self._made(name)
        with report.quiet():
            infer.rank_segments(infer.Scorer([infer.Member(model, model_config, name=name)]),
                                infer.Job(pattern, scores_output=folder, batch_size=_BATCH))  # fmt: skip

    def expectation_maximisation(self, key, threshold, called=None, iterations=2, **mstep):
        """EM with one model throughout; a row for F, and for F1 and F2 of each iteration.

        Args:
            key: of the model.
            threshold: of the E-step.
            called: what the rows' names begin with; None: the key.
            iterations: of E-step and M-step.
            **mstep: what the M-step has instead of its recipe's.
        """
        called = called or key
        name, shards = f"EM, {called}", len(glob.glob(self.made.rated_pattern))
        rows = [
            f"{called}, EM 0",
            *(f"{called}, EM {i}, {prior}" for i in range(1, iterations + 1) for prior in ("prior", "no prior")),
        ]
        if all(row in self.rows for row in rows):
            return rows

        def candidate(candidate_name, folder, labels):
            folder = os.path.relpath(folder, self.folder)
            stages = [
                ("mstep", {"pseudo_labels": labels, **mstep}) if labels else ("pretrain", {}),
                ("finetune", {"save_steps": 100, "folds": shards}),
            ]
            stages = tuple(
                dataclasses.replace(self.stage(key, stage, "", **changes), train_dir=os.path.join(self.folder, folder))
                for stage, changes in stages
            )
            return em.Candidate(candidate_name, dataclasses.replace(self.model(key), **montage_rows.SEGMENT_ALONE), stages)

        began = time.monotonic()
        plan = em.make_plan(self.path(name), self.made.train_pattern, self.made.rated_pattern, candidate, iterations,
                            threshold=threshold, folds=shards)  # fmt: skip
        with report.quiet():
            iterated = em.em(plan)
        if iterated is None:
            raise KeyboardInterrupt
        took = {"seconds": (time.monotonic() - began) / len(iterated), "cpu_seconds": 0.0}
        for row, of in zip(rows, iterated):
            if row in self.rows:
                continue
            folder = "initial" if not of["iteration"] else f"iteration-{of['iteration']}/{of['name']}"
            trained = restore.newest(os.path.join(plan.train_dir, folder))
            more = {part: of.get(part) for part in ("num_labels", "precision", "kept")}
            self.judge(row, trained.model, trained.config, {**took, **more})
        return rows
