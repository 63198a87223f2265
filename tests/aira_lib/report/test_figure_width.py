"""A figure that is drawn narrower is shown narrower: its letters are as large as those of the others."""

from xml.etree import ElementTree

import pytest

from aira_lib.report.drawing import WIDTH, render


@pytest.mark.parametrize(("width", "rem"), [(WIDTH, 56.0), (WIDTH / 2, 28.0)])
def test_a_figure_is_shown_as_wide_as_it_is_drawn(width: float, rem: float) -> None:
    root = ElementTree.fromstring(render("empty", width, 1.0, lambda canvas: None).svg)
    assert root.attrib["style"] == f"max-width: {rem:.4g}rem"
