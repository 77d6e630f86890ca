"""MAP of `yt8m rerank` on montages with other rankers than the best ensemble has, from the scores that montage.py kept."""

import glob
import os
import shutil

import cut_lists
import montage_groups
import montage_rows
import montage_runs
import numpy as np
import report
import tensorflow as tf

from yt8m import api
from yt8m.ensembles.command import ratings_of
from yt8m.metrics.segments import segment_average_precisions
from yt8m.readers.records import decode_context
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.scoring.ranking import Ranking
from yt8m.segments import SEGMENT_SIZE

EVERYTHING, PLACES = 10**7, 0  # candidates: all segments; as many as a list has places
SAME, PLAIN = "best ensemble, of stores", "ensemble of three, mean"
# Options of --method=class_trees: the rate is larger than the default and the patience less, so that trees are fewer; a class has
# one fit, not five, and its columns 16 bins, not 64: what is left takes a minute or two a member.
FEW_TREES = {"learning_rate": 0.1, "patience": 10, "num_fits": 1, "bins": 16}
# Part of best.py -> (row, flags of `yt8m rerank`).
ROWS = {
    "negatives": ("best ensemble, --method=attention, with unrated negatives", {"method": "attention"}),
    "pairwise": (
        "best ensemble, --method=attention, with the pairwise term",
        {"method": "attention", "method_options": {"pairwise_weight": 0.2}},
    ),
    "embedding": (  # of what attention has learned on whole videos
        "best ensemble, with the third descriptor",
        {"embedding_dir": montage_groups.pretrained("attention")},
    ),
    # The recipe as it stands, of lists of 100,000 of 2.2 million; a rated pair that is no candidate is below all that are.
    "as_given": (
        "best ensemble, N candidates a class by videos, as configs/ensemble_best.flags",
        {"candidates": PLACES, "candidates_by": "videos"},
    ),
    "by_segments": ("best ensemble, N candidates a class by segments", {"candidates": PLACES}),
    "class_trees": (
        "best ensemble, --method=class_trees",
        {"method": "class_trees", "method_options": FEW_TREES, "video_maximum": 0},
    ),
    "class_trees_ranks": (  # as configs/rerank_class_trees.flags
        "best ensemble, --method=class_trees --rank_average=0.5",
        {"method": "class_trees", "method_options": FEW_TREES, "video_maximum": 0, "rank_average": 0.5},
    ),
}


def stores(runs, name):
    """Folders of the stores of a row's scores of the held-out and the test montages, written unless they are there."""
    scores, folders = runs.scores(name), []
    patterns = {"held_out": runs.made.held_out_pattern, "test": runs.made.test_ratings_pattern}
    for part, pattern in patterns.items():
        folders.append(os.path.join(runs.path("rankers"), part, montage_runs.slug(name)))
        store = create_store(folders[-1], StoreConfig("segments", tuple(runs.made.segment_classes), "float16"))
        of_part = {"held_out": runs.held_out, "test": runs.test}[part]
        for path in sorted(glob.glob(pattern)):
            if not store.has(os.path.basename(path)):
                with store.writer(os.path.basename(path)) as writer:
                    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                        id = decode_context(record).id
                        rows = scores[part][of_part.rows_of(id)]
                        writer.add(np.full(len(rows), id), np.arange(len(rows)) * SEGMENT_SIZE, rows)
    return folders


def map_of_lists(runs, **flags):
    """MAP over the test montages' rated pairs of lists of N places, as the challenge has it: of the members' mean, or re-ranked.

    Args:
        runs: montage_runs.Runs; flags: of `yt8m rerank`; none: the mean of the members.
    """
    places, folder = len(runs.test.there) // cut_lists.SEGMENTS_A_PLACE, stores(runs, PLAIN)[1]
    if flags:
        folder = os.path.join(runs.path("rankers"), "lists")
        shutil.rmtree(folder, ignore_errors=True)
        map_of(runs, scores_output=folder, **flags)
    store = open_store(folder)
    ranking, label_ids = Ranking(len(store.config.label_ids), places), store.config.label_ids
    for shard in store.shards():
        stored = store.read(shard)
        ranking.add(stored.ids, stored.starts, stored.scores())
    ratings = ratings_of(runs.made.test_ratings_pattern, "id", "eval_data_pattern", label_ids)
    return segment_average_precisions(zip(label_ids, ranking.names()), ratings, places).mean


def map_of(runs, **flags):
    """MAP over the test montages' rated pairs of the best ensemble with other flags."""
    made = runs.made
    fitted, ranked = zip(*(stores(runs, name) for name in montage_rows.TEACHERS))
    given = {
        "scores": list(ranked),
        "fit_scores": list(fitted),
        "references": f"{made.rated_pattern},{made.held_out_pattern}",
        "fit_on": made.held_out_pattern,
        "data_pattern": made.test_pattern,
        "eval_data_pattern": made.test_ratings_pattern,
        "segment_label_ids_file": made.segment_label_ids_file,
        "candidates": EVERYTHING,
        "video_maximum": 1,
    }
    given |= flags
    if "embedding_dir" in given:
        given["embedding_dir"] = runs.path(given["embedding_dir"])
    given["candidates"] = given["candidates"] or len(runs.test.there) // cut_lists.SEGMENTS_A_PLACE
    with report.quiet():
        ranked = api.rerank(**given)
    return ranked.rows[1].figures.map
