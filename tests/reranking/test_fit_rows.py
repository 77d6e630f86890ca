"""Negatives that nobody has rated: never of a class that the video is rated or labelled for, and the same with the same seed."""

from types import SimpleNamespace

import numpy as np
import pytest

from yt8m.reranking import fit_rows
from yt8m.reranking.frames import RatedSegments

LABELS = [30, 4, 17, 8, 99]


def rated_segments(num_videos=12):
    """Two rated segments a video, the first of them rated for two classes; a video is labelled for one more class."""
    ids, starts, classes, labelled = [], [], [], {}
    for v in range(num_videos):
        ids += [f"v{v}"] * 3
        starts += [0, 0, 20]
        classes += [LABELS[c % 4] for c in (v, v + 1, v)]
        labelled[f"v{v}"] = np.array([LABELS[(v + 2) % 4], 12345])
    labels = np.arange(len(ids)) % 2
    return RatedSegments(np.array(ids), np.array(starts), np.array(classes), labels.astype(np.float32), None, None, labelled)


class Scores:
    """Stands for members.Members: random logits of two members, a row a rated segment."""

    def __init__(self, pairs):
        self.label_ids, self.first = LABELS, self
        self.names = sorted(set(pairs.ratings().segment_ids.tolist()), reverse=True)
        self.part = SimpleNamespace(ids=np.array([name.split(":")[0] for name in self.names]))
        self.of_members = np.random.default_rng(0).normal(size=(2, len(self.names), len(LABELS))).astype(np.float32)

    def logits(self, part, chosen):
        return [x[:, chosen] for x in self.of_members]

    def of_pairs(self, ratings, flag, of_part):
        rows = np.array([self.names.index(name) for name in ratings.segment_ids.tolist()])
        return None, None, of_part(self.part, rows, None)


def negatives(pairs, rows):
    """(segment, class) of the negatives."""
    names = pairs.ratings().segment_ids
    assert not rows.labels[rows.num_rated :].any() and rows.rated.sum() == rows.num_rated == len(pairs.ids)
    return [
        (names[place], c) for place, c in zip(rows.places[rows.num_rated :].tolist(), rows.classes[rows.num_rated :].tolist())
    ]


def known(pairs, video):
    rated = pairs.classes[pairs.ids == video].tolist()
    return {LABELS.index(label) for label in (*rated, *pairs.video_labels[video].tolist()) if label in LABELS}


def test_rated_pairs_come_first_and_as_they_are():
    pairs = rated_segments()
    for rows in (fit_rows.rated_alone(pairs, LABELS), fit_rows.with_segments_negatives(pairs, Scores(pairs), 2, 1)):
        ratings, n = rows.ratings(pairs, LABELS), len(pairs.ids)
        for of_rows, of_pairs in zip(vars(ratings).values(), vars(pairs.ratings()).values()):
            np.testing.assert_array_equal(of_rows[:n], of_pairs)


def test_a_rated_segments_negatives_are_the_largest_score_and_a_class_by_frequency():
    pairs = rated_segments()
    scores = Scores(pairs)
    found = negatives(pairs, fit_rows.with_segments_negatives(pairs, scores, 2, 1))
    for name in scores.names:
        mine, video = [c for of, c in found if of == name], name.split(":")[0]
        others = sorted(set(range(len(LABELS))) - known(pairs, video))
        mean = scores.of_members.mean(axis=0)[scores.names.index(name)]
        assert mine[0] == max(others, key=lambda c: mean[c]) and not known(pairs, video) & set(mine)
        assert len(mine) == len(set(mine)) and len(mine) <= 2
        assert LABELS.index(99) not in mine[1:]  # of no rating: never by chance


def test_the_number_of_negatives_and_the_seed():
    pairs = rated_segments()
    scores = Scores(pairs)
    one, two, many = (negatives(pairs, fit_rows.with_segments_negatives(pairs, scores, n, 1)) for n in (1, 2, 9))
    assert len(one) == len(scores.names) < len(two) <= len(many)
    assert two == negatives(pairs, fit_rows.with_segments_negatives(pairs, scores, 2, 1))
    pairs = pairs._replace(video_labels={video: np.array(LABELS) for video in pairs.video_labels})
    assert negatives(pairs, fit_rows.with_segments_negatives(pairs, scores, 2, 1)) == []  # no class is left


def test_a_classs_negatives_are_segments_of_a_share_of_the_other_videos():
    pairs = rated_segments(200)
    rows = fit_rows.with_classes_negatives(pairs, LABELS, 0.25, 4, 1)
    found = negatives(pairs, rows)
    assert found == negatives(pairs, fit_rows.with_classes_negatives(pairs, LABELS, 0.25, 4, 1))
    assert found != negatives(pairs, fit_rows.with_classes_negatives(pairs, LABELS, 0.25, 4, 2))
    for c in range(4):
        videos = [name.split(":")[0] for name, of in found if of == c]
        assert len(videos) == len(set(videos)) == round(0.25 * sum(c not in known(pairs, video) for video in pairs.video_labels))
        assert not any(c in known(pairs, video) for video in videos)
    assert {name.split(":")[1] for name, _ in found} == {"0", "20"}


def test_a_class_has_no_more_negatives_than_its_ratings_allow():
    pairs = rated_segments(100)
    pairs = pairs._replace(classes=np.where(pairs.classes == 30, 4, pairs.classes))
    pairs.classes[0] = 30
    found = negatives(pairs, fit_rows.with_classes_negatives(pairs, LABELS, 1.0, 4, 1))
    counts = np.bincount([c for _, c in found], minlength=5)
    assert counts[0] == 4 and counts[4] == 0


@pytest.mark.parametrize("method, more", [("logistic", False), ("attention", True), ("class_trees", True)])
def test_methods_learn_from_what_their_options_say(method, more, capsys):
    pairs = rated_segments()
    rows = fit_rows.of_method(method, {"negatives": 2, "negatives_a_rating": 4, "seed": 1} if more else {}, pairs, Scores(pairs))
    assert (len(rows.places) > rows.num_rated) == more == ("negatives beside the rated pairs" in capsys.readouterr().out)
    rows = fit_rows.of_method(method, {"negatives": 0, "seed": 1}, pairs, Scores(pairs))
    assert len(rows.places) == rows.num_rated and not capsys.readouterr().out
