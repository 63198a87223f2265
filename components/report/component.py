"""One page says what the study found."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report(
    study: str,
    store: str,
    designs: str,
    searches: list[str],
    archive: str,
    patterns: str,
    trained: list[str],
    scores: list[str],
    further: list[str],
    page: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
) -> str:
    """Write the report from all records and return its URI.

    Args:
        study: The study as JSON text.
        store: Where records are kept.
        designs: URI of the extrapolation record.
        searches: URIs of the search records.
        archive: URI of the archive record.
        patterns: URI of the aggregation record.
        trained: URIs of the pretraining records.
        scores: URIs of the evaluation records.
        further: URIs of the records of any other stages.
        page: The report as HTML.
        summary: The report as Markdown.
    """
    from aira_lib.flow.entry import copy_files, run_text

    uri = run_text("report", study, store, inputs=[designs, *searches, archive, patterns, *trained, *scores, *further])
    copy_files(store, uri, {"report.html": page.path, "report.md": summary.path})
    return uri
