"""README.md and docs/ hold what they say: commands run, examples are studies, links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from aira_lib.study.reading import _StudyLoader, parse_study
from tests import warm_start
from tests.docs.pages import PAGES, README, ROOT, Block, Command, blocks, commands, links

NOT_RUN = {
    "gitops.md": ["needs a cluster"] * 3,
    "install.md": ["needs a cluster"] * 5,
    "models.md": ["takes minutes"],
    "proxies.md": ["takes minutes"],
    "stores.md": ["it writes tests/golden anew"],
    "tracking.md": ["a server that does not end"],
}
OTHERWISE = (
    "misspelt.yaml",
    "layers.yaml",
    "candidates.yaml",
    "minimal-values.yaml",
    "full-values.yaml",
    "run.yaml",
    "laptop-cluster.yaml",
    "program.yaml",
)
"""Studies that are refused, the one as an example, the other without the module beside it: commands show both. And
values of a chart, with which tests/charts renders it; a run, what a cluster is, and how submitted code is scored."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a reader has followed no page yet, with all files that pages define."""
    folder = tmp_path_factory.mktemp("reader")
    for block in (block for page in PAGES for block in blocks(page) if block.file):
        assert not (folder / block.file).exists(), f"{block.file} is defined twice"
        (folder / block.file).write_text(block.text)
    (folder / "pipelines").symlink_to(ROOT / "pipelines")
    (folder / "bin").mkdir()
    for name, module in (("aira", "-m aira_lib.cli"), ("python", "")):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    return folder


def problem(folder: Path, command: Command) -> str:
    """What is wrong with a command: its exit code, or that what the page shows is not what it says."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AIRA_", "MLFLOW_"))}
    env |= {"AIRA_SCRATCH": str(folder / "scratch"), "AIRA_KERNELS": "plain", "COLUMNS": "200", "NO_COLOR": "1"}
    env |= {"PATH": f"{folder / 'bin'}:{env['PATH']}", "PYTHONPATH": f"{ROOT}:{folder}"}
    code, text = followed(command.line, folder, env)
    said = " ".join(text.split())
    if code != 2 * command.refused:
        return f"$ {command.line}\nexit code {code}\n{text[-3000:]}"
    missing = [line for line in command.shown if constant(line) not in said]
    return f"$ {command.line}\nsays nothing like {missing}, but\n{text[-3000:]}" if missing else ""


def followed(line: str, folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of a line: from a shell, or warm where it is `aira` with arguments and nothing else."""
    words = shlex.split(line)
    if words[0] == "aira" and not re.search(r"[|&;<>$*?~\n]", line):
        warm = warm_start.run("aira_lib.cli", *words[1:], env=env, cwd=folder)
        return warm.returncode, warm.stdout + warm.stderr
    done = subprocess.run(
        ["sh", "-e", "-c", line], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout


def constant(line: str) -> str:
    """The part of a shown line that every run says alike: up to its first number or omission."""
    return " ".join(re.split(r"\d|\.\.\.", line)[0].split())


def shown(page: Path) -> list[Command]:
    return [command for block in blocks(page) if not block.not_run for command in commands(block)]


@pytest.mark.slow
def test_what_the_pages_have_a_reader_do_works(folder: Path) -> None:
    done = set[str]()

    def follow(page: Path) -> list[str]:
        new = [command for command in shown(page) if command.shown or command.line not in done]
        done.update(command.line for command in new)
        return [f"{page.name}: {each}" for each in (problem(folder, command) for command in new) if each]

    wrong = follow(README)  # first, since the other pages go on with its study
    assert not wrong, "\n\n".join(wrong)
    with ThreadPoolExecutor(2) as readers:
        wrong = [each for page in readers.map(follow, PAGES[1:]) for each in page]
    assert not wrong, "\n\n".join(wrong)


def test_few_commands_are_not_run_and_each_says_why() -> None:
    skipped = {page.name: [block.not_run for block in blocks(page) if block.not_run] for page in PAGES}
    assert {name: why for name, why in skipped.items() if why} == NOT_RUN


def test_no_block_is_of_a_language_that_nothing_checks() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("console", "sh", "yaml", "py", "toml", "jinja"), f"{page.name}: {block.text}"
            assert block.file or block.language not in ("py", "jinja"), (
                f"{page.name}: whose file is this?\n{block.text}"
            )


def yaml_blocks() -> list[tuple[str, Block]]:
    return [(page.name, block) for page in PAGES for block in blocks(page) if block.language == "yaml"]


@pytest.mark.parametrize(("page", "block"), yaml_blocks())
def test_every_example_is_a_study_or_part_of_one(page: str, block: Block) -> None:
    if block.file in OTHERWISE:
        return
    part = yaml.load(block.text, Loader=_StudyLoader)
    assert parse_study({"name": "x", "agents": [{"model": "offline"}], **part}, page).agents


def test_links_lead_somewhere_and_every_page_is_reached_from_the_readme() -> None:
    for page in PAGES:
        for link in links(page):
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name} links to {link}"
            assert not heading or heading in headings(target), f"{page.name} links to {link}"
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= set(links(README))


def headings(page: Path) -> set[str]:
    lines = page.read_text(encoding="utf-8").splitlines()
    return {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines if line[:1] == "#"}


def test_every_command_is_in_the_readmes_table() -> None:
    from aira_lib.cli.aira import app

    def names(command: Any, path: str) -> Iterator[str]:
        inner = getattr(command, "commands", {})
        yield from (name for each, sub in inner.items() for name in names(sub, f"{path} {each}"))
        if not inner or hasattr(command, "itself"):
            yield path

    table = " ".join(line for line in README.read_text().splitlines() if line.startswith("| `aira"))
    listed = {found[0] for found in re.finditer(r"aira( [a-z]+)+", table)}
    assert set(names(typer.main.get_command(app), "aira")) == listed


def test_the_picture_of_the_packages_has_the_layers_that_the_linter_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    order = [set(re.findall(r"\w+", layer)) for layer in layers]
    picture = re.search(r"^    aira_lib/.*?^    components/", README.read_text(), re.MULTILINE | re.DOTALL)
    assert picture
    rows = [re.split(r" {3,}", line.strip())[0] for line in picture[0].splitlines()[1:-1]]
    drawn = [set(part.split()) for row in rows for part in row.split("│")]
    assert set().union(*drawn) == set().union(*order)
    # A line of the linter may be drawn in parts, and none of its parts before a line above it.
    place = {name: number for number, names in enumerate(order) for name in names}
    assert [place[min(part)] for part in drawn] == sorted(place[min(part)] for part in drawn)


def test_every_variable_of_the_environment_is_told() -> None:
    told = " ".join(page.read_text() for page in PAGES)
    code = " ".join(path.read_text() for path in (ROOT / "aira_lib").rglob("*.py"))
    assert set(re.findall(r"\bAIRA_[A-Z_]*[A-Z]", code)) <= set(re.findall(r"\bAIRA_[A-Z_]*[A-Z]", told))


def test_the_two_commands_are_there_and_the_readme_is_short() -> None:
    text = README.read_text()
    assert "\n    make demo " in text
    assert "\n    make test " in text
    assert len(text.splitlines()) <= 120


def test_lines_are_of_a_length_that_a_terminal_shows() -> None:
    too_long = [f"{page.name}: {line}" for page in PAGES for line in page.read_text().splitlines() if len(line) > 120]
    assert not too_long
