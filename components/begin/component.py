"""The first task on a cluster: it finds the study that is meant, says what that costs, and may stop there."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def begin(
    preset: str, study: str, overrides: dict[str, object], store: str, confirm: str, plan: dsl.Output[dsl.Markdown]
) -> str:
    """Keep the study in the store and return the text that stands for it: URI#SHA-256.

    Args:
        preset: A study that comes with AIRA, or own-study for the one that is given.
        study: Of own-study: YAML, JSON, the URI of such a file, or URI#SHA-256.
        overrides: Other values of single settings, by dotted keys.
        store: Where records are kept: s3://bucket/prefix.
        confirm: What an earlier start asked to enter, where the study is expensive.
        plan: What each stage takes.
    """
    from aira_lib.remote.entry import begin_text

    return begin_text(preset, study, overrides, store, confirm, plan.path)
