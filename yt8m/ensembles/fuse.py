"""Smooths and fuses stored scores: what `yt8m fuse` does."""

from dataclasses import dataclass

from yt8m.ensembles import fusion as fusions
from yt8m.ensembles.command import judged_shards_warning, ratings_of
from yt8m.ensembles.fused import FusedStores, fused_blocks, fused_store
from yt8m.ensembles.fusion_report import report
from yt8m.ensembles.stores import write_blocks
from yt8m.metrics.segments import segment_average_precisions
from yt8m.readers import labels
from yt8m.scoring import submission
from yt8m.scoring.candidates import ProposedVideos, candidate_ranking


@dataclass(frozen=True)
class FuseJob:
    """What is read and what is written; "": not given.

    Attributes:
        scores, video_scores: stores.
        label_ids_file: classes to take.
        fit_on, fusion: rated shards, or a file of an earlier fit.
        fusion_output, report_output, scores_output, output_file: to write.
        eval_data_pattern: rated shards to judge on; without them those of fit_on.
        id_feature: of the rated shards.
        max_pred: segments a class.
        proposed: ProposedVideos whose segments are ranked; None: all are.
    """

    scores: str
    video_scores: str = ""
    label_ids_file: str = ""
    fit_on: str = ""
    fusion: str = ""
    fusion_output: str = ""
    report_output: str = ""
    scores_output: str = ""
    output_file: str = ""
    eval_data_pattern: str = ""
    id_feature: str = "id"
    max_pred: int = 100_000
    proposed: ProposedVideos | None = None


def run(job):
    """Fits or reads a Fusion, writes what was asked for and judges it; returns the Fusion.

    Raises:
        UserError: stores or ratings that do not go together, or an output that cannot be written.
    """
    ids = labels.read_label_ids(job.label_ids_file) if job.label_ids_file else None
    stores = FusedStores(job.scores, job.video_scores, ids)
    fitted = _pairs(job, stores, "fit_on") if job.fit_on else None
    fusion = _fit(job, fitted) if fitted else fusions.read(job.fusion)
    if fusion.video and not job.video_scores:
        print(f"Note: {job.fusion} gives the videos' scores the weight {fusion.video:.3g}, and there is no --video_scores.")
    if job.scores_output or job.output_file:
        _write(job, stores, fusion)
    if fitted or job.eval_data_pattern:
        _report(job, stores, fusion, fitted)
    return fusion


def _pairs(job, stores, flag):
    """Ratings, and the classes, labels and Terms of their pairs."""
    ratings = ratings_of(getattr(job, flag), job.id_feature, flag, stores.label_ids)
    return ratings, *stores.pairs(ratings, flag)


def _fit(job, fitted):
    """The Fusion of rated pairs, said and written."""
    _, _, scores, terms = fitted
    fusion, loss = fusions.fit(terms, scores)
    before = fusions.log_loss(terms.segment, scores)
    weights = f"w = {fusion.smoothing:.3g}, a = {fusion.segment:.3f}, b = {fusion.video:.3f}, d = {fusion.mean:.3f}"
    print(
        f"Fitted {weights}, e = {fusion.constant:.3f} on {len(scores):,} rated pairs of {job.fit_on}: log loss {loss:.4f}, of "
        f"the scores themselves {before:.4f}."
    )
    if job.fusion_output:
        fusion.write(job.fusion_output, {"fitted_on": job.fit_on, "num_pairs": len(scores), "log_loss": loss})
        print(f"Wrote {job.fusion_output}.")
    return fusion


def _write(job, stores, fusion):
    """Writes the fused scores as a store, as a submission, or as both."""
    store = fused_store(stores, fusion, job.scores_output) if job.scores_output else None
    blocks = fused_blocks(stores, fusion, store)
    if job.output_file and job.proposed:
        _write_candidates(job, stores, blocks)
    else:
        write_blocks(blocks, stores.label_ids, job.output_file, job.max_pred)
    if store:
        print(f"Wrote {job.scores_output}: fused scores, {len(stores.shards)} shards.")


def _write_candidates(job, stores, blocks):
    """Writes a submission of candidates only."""
    ranking = candidate_ranking(stores.store, stores.shards, stores.label_ids, job.proposed, job.max_pred)

    def ranked():
        for ids, starts, scores in blocks:
            ranking.add(ids, starts, scores)
        yield from ranking.names()

    submission.write_submission(job.output_file, stores.label_ids, ranked(), job.max_pred)
    print(f"Wrote {job.output_file}: the best candidates of {len(stores.label_ids)} classes among {len(ranking):,} segments.")


def _report(job, stores, fusion, fitted):
    """Prints and writes the report on the rated pairs, and of the written lists."""
    pattern = job.eval_data_pattern or job.fit_on
    ratings, classes, scores, terms = _pairs(job, stores, "eval_data_pattern") if job.eval_data_pattern else fitted
    title = f"MAP and AUC over {len(classes):,} rated pairs of {pattern}"
    judged = report(title, classes, scores, terms, fusion, bool(job.video_scores), len(stores.label_ids))
    if job.output_file:
        ranked = submission.read_submission(job.output_file)
        judged = judged._replace(full_lists=segment_average_precisions(ranked, ratings, job.max_pred).mean)
    warning = judged_shards_warning(job.fit_on, pattern, "The smoothing and the weights were") if job.fit_on else ""
    judged._replace(warning=warning).show(job.report_output)
