"""The text of a proxy, without the models: nothing here takes seconds to import."""

from aira_lib.datasets.language import LanguageSplits, language_splits
from aira_lib.study import LanguageName, ProxySection


def text_data(section: ProxySection, text: LanguageName) -> LanguageSplits:
    """The examples of a section's text, the same for every design.

    Raises:
        UserError: see `aira_lib.datasets.language.language_splits`.
    """
    return language_splits(text, section.language, section.validation_fraction, section.seed)
