"""Names of the tests' own modules: pytest puts the folder of a test that is in no package in front of all others."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent


def test_no_module_hides_one_of_the_standard_library() -> None:
    """Processes that tests start would import it instead."""
    alone = [path for path in TESTS.rglob("*.py") if not (path.parent / "__init__.py").exists()]
    assert len(alone) > 100
    assert not [str(path.relative_to(TESTS)) for path in alone if path.stem in sys.stdlib_module_names]
