from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.tasks.airs import TaskFolderError, find_task_folder, load_task_folder, read_shape, task_folders
from tests.aira_lib.tasks.made_folders import NAME, change_metadata, made_folder, replace_in


@pytest.mark.parametrize(
    ("written", "shape"),
    [
        ("shape: (4906,)", (4906,)),
        ("shape: (19210,2)", (19210, 2)),
        ("shape: 300,1", (300, 1)),
        ("shape: '300, 1'", (300, 1)),
        ("shape: [1531]", (1531,)),
        ("shape: 1531", (1531,)),
        ("shape: \n   - 1147", (1147,)),
        ("shape: \n    - 5000 \n    - 5", (5000, 5)),
    ],
)
def test_every_spelling_of_a_shape(tmp_path: Path, written: str, shape: tuple[int, ...]) -> None:
    folder = made_folder(tmp_path)
    replace_in(folder / "metadata.yaml", "shape: [200, 1]", written)
    assert load_task_folder(folder).metadata.logging_info.shape == shape


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=4))
def test_text_and_list_mean_the_same_shape(sizes: list[int]) -> None:
    assert read_shape(sizes) == read_shape(str(tuple(sizes))) == read_shape(str(sizes)) == tuple(sizes)


@pytest.mark.parametrize("value", ["", "(0,)", "[-1]", "(1.5,)", "many", "__import__('os')", [], [True], {}, None])
def test_what_is_no_shape(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a shape"):
        read_shape(value)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("prepare_code_python_requirements", "-sktime", ("sktime",)),
        ("prepare_code_python_requirements", ["pyext"], ("pyext",)),
        ("logging_info.scoring_column", ["label_target"], ("label_target",)),
        ("logging_info.scoring_column", "label", ("label",)),
        ("logging_info.additional_metrics", None, None),
        ("logging_info.additional_metrics", "MAPE, sMAPE, MAE", ("MAPE, sMAPE, MAE",)),
        ("logging_info.estimated_worst_score", 502962963078372, 502962963078372.0),
    ],
)
def test_odd_typings_of_the_public_folders(tmp_path: Path, key: str, value: Any, kept: Any) -> None:
    folder = made_folder(tmp_path)
    change_metadata(folder, {key: value})
    read: Any = load_task_folder(folder).metadata
    for part in key.split("."):
        read = getattr(read, part)
    assert read == kept


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"metric_lower_is_beter": True}, "unknown key 'metric_lower_is_beter'; did you mean 'metric_lower_is_better'"),
        ({"logging_info.metrics": "x"}, "unknown key 'logging_info.metrics'; did you mean 'metric'"),
        (
            {"logging_info.sota": [{"sota_paper_url": "u", "sota_score": 1, "sota_yaer": 2}]},
            "unknown key 'logging_info.sota.0.sota_yaer'; did you mean 'sota_year'",
        ),
        ({"logging_info.metric": ...}, "key 'logging_info.metric' is missing"),
        ({"logging_info.metric": ""}, "logging_info.metric: string should have at least 1 character"),
        ({"logging_info.sota": []}, "logging_info.sota"),
        (
            {"logging_info.custom_gold_labels": "yes"},
            "logging_info.custom_gold_labels: input should be a valid boolean",
        ),
        ({"metric_lower_is_better": "no"}, "metric_lower_is_better: input should be a valid boolean"),
        ({"logging_info.shape": "many"}, "logging_info.shape: 'many' is not a shape"),
        ({"logging_info.shape": ...}, "logging_info.shape is missing; a task that exports submission.csv"),
        ({"logging_info.optimal_score": float("nan")}, "logging_info.optimal_score"),
        ({"file_export_globs": []}, "file_export_globs"),
    ],
)
def test_wrong_metadata_is_one_line_that_names_the_key(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    folder = made_folder(tmp_path)
    change_metadata(folder, changes)
    with pytest.raises(TaskFolderError) as caught:
        load_task_folder(folder)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "metadata.yaml" in str(caught.value)


def test_a_shape_is_not_needed_without_a_table(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    change_metadata(folder, {"logging_info.shape": ..., "file_export_globs": ["model.py"]})
    assert load_task_folder(folder).metadata.logging_info.shape is None


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    replace_in(folder / "metadata.yaml", "  - submission.csv", "  - [submission.csv")
    with pytest.raises(TaskFolderError, match=r"metadata\.yaml:\d+: not valid YAML"):
        load_task_folder(folder)


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    (folder / "project_description.md").write_text(" \n")
    with pytest.raises(TaskFolderError, match=r"project_description\.md: empty"):
        load_task_folder(folder)
    (folder / "prepare.py").unlink()
    with pytest.raises(TaskFolderError, match=r"it has no prepare\.py; start from"):
        load_task_folder(folder)
    with pytest.raises(TaskFolderError, match="no such folder"):
        load_task_folder(tmp_path / "nowhere")


def test_a_task_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    folder = made_folder(tmp_path)
    assert find_task_folder(str(folder)).name == NAME
    assert task_folders(tmp_path) == [folder]
    built_in = find_task_folder("NeuralArchitectureSearchMAD2PrimitivesAccuracy")
    assert built_in.better(0.9, 0.8)
    with pytest.raises(TaskFolderError, match="did you mean 'NeuralArchitectureSearchMAD2PrimitivesAccuracy'"):
        find_task_folder("NeuralArchitectureSearchMAD2PrimitiveAccuracy")
