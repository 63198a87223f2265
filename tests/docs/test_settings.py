"""docs/settings.md is what the sections of a study say; every key means something, in one place."""

from aira_lib.study import Study
from aira_lib.study.document import PAGE, _texts_below, meaning, page, sections_of
from aira_lib.study.meanings import MEANINGS

SECTIONS = dict(sections_of("", Study))


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m aira_lib.study.document"


def test_every_key_means_something() -> None:
    unsaid = [
        f"{place}.{key}" for place, model in SECTIONS.items() for key in model.model_fields if not meaning(model, key)
    ]
    assert not unsaid


def test_no_meaning_stands_twice_or_for_a_key_that_is_gone() -> None:
    keys = {f"{model.__name__}.{key}" for model in SECTIONS.values() for key in model.model_fields}
    assert set(MEANINGS) <= keys
    below = {f"{model.__name__}.{key}" for model in SECTIONS.values() for key in _texts_below(model)}
    assert not set(MEANINGS) & below
