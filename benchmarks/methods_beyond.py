"""The groups "beyond", "rankers" and "candidates" of methods.py: what systems above the four papers add on the built-in sample.

Attention, multi-attention and gated DBoF are fine-tuned on the sample's rated part. `yt8m fuse`, `yt8m rerank` and `yt8m
ensemble` then do the rest: what they fit is fitted on the held-out part, which no model has learned, and judged on the test
part. References are the rated segments of the rated and the held-out part. Lists of candidates are judged by all segments of the
test part, whose truth is known.
"""

import json
import os

import best_rankers
import cut_lists
import numpy as np
import report

import yt8m
from yt8m.cli.ensemble import COMMAND as ENSEMBLE
from yt8m.readers.labels import read_label_ids
from yt8m.readers.stores import open_store
from yt8m.segments import SEGMENT_SIZE
from yt8m.stages.report import sample_truth

MEMBERS = ("AttentionModel", "MultiAttentionModel", "GatedDbofModel")
MEAN, BEST = "mean of three", "best ensemble"
FEW_TREES = {"method": "class_trees", "method_options": best_rankers.FEW_TREES}  # fewer than by default, as on montages
# Other rankers -> flags of `yt8m rerank`.
RANKERS = {
    "--method=attention": {"method": "attention"},
    "--method=class_trees": FEW_TREES,
    "--method=class_trees --rank_average=0.5": {**FEW_TREES, "rank_average": 0.5},  # configs/rerank_class_trees.flags
    "--method=localizer": {"method": "localizer"},
}


class Stores:
    """Scores of a model's two runs of a seed: of segments by the fine-tuned one, of whole videos by the pre-trained one.

    Args:
        runs: methods.Seed; model: its name.
    """

    def __init__(self, runs, model):
        self._runs, self._model = runs, model
        self.name = f"{model}, fine-tuned"

    def folder(self, part, kind):
        """Folder of the scores of a part ("held_out", "test") of a kind ("segments", "videos"); they are made when asked for."""
        folder = self._runs.path(os.path.join("beyond", part, kind, self._model))
        if not os.path.exists(folder):
            segments = kind == "segments"
            run = self._runs.path(os.path.join("beyond", f"{self._model}-{kind}"))
            if not os.path.islink(run):  # a name without a comma, which stands between several --train_dir
                os.makedirs(os.path.dirname(run), exist_ok=True)
                os.symlink(self._runs.path(self.name if segments else f"{self._model}, pre-trained"), run)
            quietly(
                yt8m.inference,
                train_dir=run,
                input_data_pattern=getattr(self._runs.sample, f"{part}_pattern"),
                segment_labels=segments,
                scores_output=folder,
                output_file="",
                scores_dtype="float16",
            )
        return folder


def quietly(function, *given, **options):
    """What a function returns; what it prints is not shown."""
    with report.quiet():
        return function(*given, **options)


def noted(runs, name, folder, how):
    """Notes the MAP of a store's scores of the test part, under a name, which it returns."""
    runs.note(name, runs.test_set.scores_of_store(folder), how)
    return name


def fused(runs, stores):
    """Name of the row of a model's scores, smoothed and fused with the videos'."""
    sample, weights, output = runs.sample, runs.path("fusion.json"), runs.path(f"fused {stores.name}")
    held_out, test = ((stores.folder(part, "segments"), stores.folder(part, "videos")) for part in ("held_out", "test"))
    quietly(yt8m.fuse, scores=held_out[0], video_scores=held_out[1], fit_on=sample.held_out_pattern, fusion_output=weights)
    quietly(yt8m.fuse, scores=test[0], video_scores=test[1], fusion=weights, scores_output=output)
    return noted(runs, f"{stores.name}, smoothing and fusion", output, "fused")


def reranked(runs, name, of, method="logistic", **flags):
    """Name of the row of some models' scores, each ranked anew by references, their mean."""
    if name in runs.maps:
        return name
    sample, output = runs.sample, runs.path(f"reranked {name}")
    given = {
        option: [stores.folder(part, kind) for stores in of]
        for option, part, kind in (
            ("scores", "test", "segments"),
            ("fit_scores", "held_out", "segments"),
            ("video_scores", "test", "videos"),
            ("fit_video_scores", "held_out", "videos"),
        )
    }
    quietly(
        yt8m.rerank,
        method=method,
        references=f"{sample.rated_pattern},{sample.held_out_pattern}",
        fit_on=sample.held_out_pattern,
        data_pattern=sample.test_pattern,
        candidates=best_rankers.EVERYTHING,
        scores_output=output,
        output_file="",
        **given,
        **flags,
    )
    return noted(runs, name, output, "ranked anew")


def rankers(runs, model=MEMBERS[0], methods=tuple(RANKERS)):
    """Other rankers than the logistic regression of references, of one model's scores; `methods` are keys of RANKERS."""
    stores = members_of(runs, model)[0]
    base = reranked(runs, f"{stores.name}, references", [stores])
    yield base, stores.name, "above"
    for ranker in methods:
        yield reranked(runs, f"{stores.name}, {ranker}", [stores], **RANKERS[ranker]), base, ""


def members_of(runs, *models):
    """Stores of models, each pre-trained and fine-tuned."""
    for model in models:
        runs.run(f"{model}, pre-trained", model, "pretrain")
        runs.run(f"{model}, fine-tuned", model, start=f"{model}, pre-trained")
    return [Stores(runs, model) for model in models]


def ensemble(runs, name, of, method):
    """Name of the row of the members' ensemble by a method of `yt8m ensemble`, of scores that can be stored."""
    if name in runs.maps:
        return name
    output = runs.path(name)
    folders = [stores.folder("test", "segments") for stores in of]
    quietly(ENSEMBLE.run, [*folders, f"--method={method}", f"--scores_output={output}"], "yt8m ensemble")
    return noted(runs, name, output, method)


def hyperbolic(runs, name, of):
    """Name of the row of the members' ensemble by hyperbolic points of the rank, which `yt8m ensemble` says itself."""
    told = runs.path("ranks.json")
    folders = [stores.folder("test", "segments") for stores in of]
    flags = {"method": "hyperbolic", "eval_data_pattern": runs.sample.test_ratings_pattern, "report_output": told}
    quietly(ENSEMBLE.run, [*folders, *(f"--{flag}={value}" for flag, value in flags.items())], "yt8m ensemble")
    with open(told, encoding="utf-8") as file:
        runs.maps[name] = json.load(file)["ensemble"]["map"]
    print(f"seed {runs.seed} | {name}: {runs.maps[name]:.4f} (points of ranks)", flush=True)
    return name


def beyond(runs):
    """Fusion, references and means of the three models, each beside its base."""
    members = members_of(runs, *MEMBERS)
    for stores in members:
        yield fused(runs, stores), stores.name, "above"
        yield reranked(runs, f"{stores.name}, references", [stores]), stores.name, "above"
        yield reranked(runs, f"{stores.name}, references, trees", [stores], "trees"), stores.name, "above"
    ensemble(runs, MEAN, members, "mean")
    yield from ((MEAN, stores.name, "above") for stores in members)
    yield ensemble(runs, "geometric mean of three", members, "geometric"), MEAN, ""
    yield hyperbolic(runs, "hyperbolic ranks of three", members), MEAN, ""
    yield reranked(runs, BEST, members, video_maximum=1.0), MEAN, "above"


def truth_of(store, sample):
    """bool [N, K]: whether each segment of a store of the sample's test videos shows each of its classes."""
    with np.load(sample.truth_file) as stored:
        truth = sample_truth(stored, read_label_ids(sample.segment_label_ids_file))
    return np.array(
        [
            [truth[id][label][start // SEGMENT_SIZE] for label in store.config.label_ids]
            for read in map(store.read, store.shards())
            for id, start in zip(read.ids, read.starts)
        ]
    )


def candidates(runs):
    """Lists of candidates by video, of the three models and their mean, each beside the lists of all segments."""
    members = members_of(runs, *MEMBERS)
    ensemble(runs, MEAN, members, "mean")
    videos = Stores(runs, MEMBERS[1]).folder("test", "videos")
    folders = {**{stores.name: stores.folder("test", "segments") for stores in members}, MEAN: runs.path(MEAN)}
    for name, folder in folders.items():
        store, base = open_store(folder), f"{name}, all segments"
        for rules, of_classes in cut_lists.precisions(store, truth_of(store, runs.sample), videos).items():
            row = f"{base}, {rules}" if rules else base
            runs.maps[row], runs.precisions[row] = float(np.nanmean(of_classes)), of_classes
            print(f"seed {runs.seed} | {base}, {rules or 'as they are'}: {runs.maps[row]:.4f}", flush=True)
            if rules:
                yield f"{base}, {rules}", base, "above"
