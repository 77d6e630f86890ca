"""Rankers of members' scores, fitted on rated pairs."""

from typing import NamedTuple

import numpy as np

from yt8m.ensembles import fusion
from yt8m.reranking import fit_rows, rankers
from yt8m.reranking.frames import Pairs, read_rated
from yt8m.reranking.references import RatedReferences
from yt8m.reranking.stored import StoreFeatures
from yt8m.reranking.whole_videos import RatedVideos


class Fitted(NamedTuple):
    """What was fitted.

    Attributes:
        references: references.RatedReferences.
        ranks: of each member a function of features float32 [m, F] and frames.Pairs to logits float32 [m].
        related: stored.StoreFeatures.related, int [C, r] or None.
        localizer: localizer.Localizer, or None.
    """

    references: RatedReferences
    ranks: list
    related: np.ndarray | None
    localizer: object | None


def fit(job, theirs, embed):
    """The Fitted of a job; a line says how well each member's ranker fits.

    Args:
        job: command.RerankJob.
        theirs: members.Members of the scores of job.fit_on.
        embed: embedding.SegmentEmbedding, or None.

    Raises:
        UserError: shards, ratings or stores that do not go together.
    """
    read, expansion = (job.features, theirs.label_ids), option(job, "expansion")
    same = job.fit_on == job.references
    rated = read_rated(job.references, "references", *read, expansion if same else None, embed)
    references = RatedReferences(rated, job.features.sizes, theirs.label_ids, job.neighbourhood)
    pairs = rated if same else read_rated(job.fit_on, "fit_on", *read, expansion, embed)
    rows = fit_rows.of_method(job.method, rankers.options_of(job.method, job.method_options), pairs, theirs)
    features, ranks = StoreFeatures(theirs, num_related=option(job, "related")), []
    videos, of_rows = pairs.ids[rows.places], rows.ratings(pairs, theirs.label_ids)
    classes, scores, of_members = theirs.first.of_pairs(of_rows, "fit_on", features.of_pairs)
    near = references.features(pairs.means, rows.places, videos, classes)
    localizer, located = _localizer(job, read) if job.method == "localizer" else (None, None)
    near = near if located is None else np.concatenate([near, located], axis=1)  # its rows are the ratings, in their order
    of_pairs = _pairs(job, pairs, rows, theirs, references, features)
    for number, of_scores in enumerate(of_members):
        everything, asked = np.concatenate([of_scores, near], axis=1), of_pairs[number]
        ranks.append(_ranker(job, everything, scores, classes, videos, asked, rows.rated, len(theirs.label_ids)))
        first = slice(rows.num_rated)
        said = ranks[-1](everything[first], asked and asked.rows(first))
        after, before = (fusion.log_loss(logits, scores[first]) for logits in (said, of_scores[first, 0]))
        name = f" for {theirs.names[number]}" if len(of_members) > 1 else ""
        print(
            f"Fitted {job.method}{name} on {rows.num_rated:,} rated pairs of {_shown_shards(job.fit_on)}, {len(rated.ids):,} "
            f"references: log loss {after:.4f} on these, of the scores themselves {before:.4f}."
        )
    return Fitted(references, ranks, features.related, localizer)


def _localizer(job, read):
    """A Localizer that has learned the references, and what it says of the ratings of fit_on, float32 [n, 1]."""
    from yt8m.reranking import localizer  # Keras: for this method alone

    learned = RatedVideos(job.references, "references", *read)
    asked = learned if job.fit_on == job.references else RatedVideos(job.fit_on, "fit_on", *read)
    fitted = localizer.fit(learned, len(read[1]), sum(job.features.sizes), **job.method_options)
    return fitted, fitted(asked.asked())[:, None]


def option(job, name):
    """An option of the method; None: it has none of the name (expansion, related: it looks at features alone)."""
    return rankers.options_of(job.method, job.method_options).get(name)


def _pairs(job, rated, rows, theirs, references, features):
    """The Pairs of FitRows for each member's ranker, a list; None where it looks at features alone."""
    if option(job, "expansion") is None:
        return [None] * len(theirs.names)
    asked = Pairs(*rated.windows, rows.places, rows.classes)
    if features.related is None:
        contrast = references.contrast(rated.ids[rows.places], rows.classes)
        return [asked._replace(contrast=contrast)] * len(theirs.names)

    def of_part(part, places, classes):
        return features.of_related(part, places, features.related[classes])

    of_members = theirs.first.of_pairs(rows.ratings(rated, theirs.label_ids), "fit_on", of_part)[2]
    return [asked._replace(related=related) for related in of_members]


def _ranker(job, features, scores, classes, videos, pairs, rated, num_classes):
    """What is fitted for a member; rated: which rows are."""
    if job.method == "localizer":
        return rankers.fit("logistic", features, scores, classes, strength=job.method_options.get("strength", 1.0))
    if pairs is None:
        return rankers.fit(job.method, features, scores, classes, **job.method_options)
    if job.method == "class_trees":
        from yt8m.reranking import class_trees

        ranker = class_trees.fit(features, scores, classes, videos, pairs, rated, **job.method_options)
        print(
            f"{len(ranker.of_classes)} of {num_classes} classes have trees of their own, the others, with fewer than "
            f"{option(job, 'min_ratings')} ratings or with one label alone, the logistic regression of all."
        )
        return ranker
    from yt8m.reranking import pair_model  # Keras: for this method alone

    return pair_model.fit(features, scores, classes, videos, pairs, num_classes, rated, **job.method_options)


def _shown_shards(pattern):
    """A pattern for a line: of many shards the first."""
    first, _, rest = pattern.partition(",")
    return f"{first} and {rest.count(',') + 1} more" if rest.count(",") > 1 else pattern
