"""One page says what the study found."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report(
    study: str,
    store: str,
    designs: str,
    searches: str,
    archive: str,
    patterns: str,
    points: str,
    further: str,
    page: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    figures: dsl.Output[dsl.Artifact],
    tables: dsl.Output[dsl.Artifact],
    numbers: dsl.Output[dsl.Metrics],
    times: str = "",
    run: str = "",
) -> str:
    """Write the report from all records and return its URI.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        designs: URI of the extrapolation record.
        searches: The text that stands for the list of the search records.
        archive: URI of the archive record.
        patterns: URI of the aggregation record.
        points: The text that stands for the list of the records of all pretraining points; empty where there are none.
        further: The text that stands for the list of the records of any other stages; empty where there are none.
        page: The report as HTML.
        summary: The report as Markdown.
        figures: Its figures, as SVG and PNG.
        tables: Its tables, as CSV.
        numbers: Its headline numbers, by which runs are compared.
        times: URI of the record of latencies; empty where the study asks for none.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import copy_files, report_numbers, run_text

    inputs = [designs, searches, archive, patterns, points, times, further]
    uri = run_text("report", study, store, inputs=inputs, run=run)
    paths = {"report.html": page.path, "report.md": summary.path, "figures": figures.path, "tables": tables.path}
    copy_files(store, uri, paths)
    for name, value in report_numbers(store, uri).items():
        numbers.log_metric(name, value)
    return uri
