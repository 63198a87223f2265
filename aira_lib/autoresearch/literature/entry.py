"""What task_info.jsonl says of a paper. The original's field names are not published; these are ours."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from aira_lib.section import Section

Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")]
Line = Annotated[str, Field(min_length=1, max_length=500)]
Long = Annotated[str, Field(min_length=1, max_length=20_000)]
Fact = bool | int | float | str | None
Category = Literal["architecture", "training", "optimizer"]


class Code(Section):
    """Where a paper's code is, by owner and name, and which version of it; `commit` pins a checkout of one's own."""

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=140)]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    licence: Line | None = None


class Provenance(Section):
    """Who wrote an entry, from what, and when."""

    model_config = ConfigDict(populate_by_name=True)

    by: Line
    from_: Line = Field(alias="from")
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Entry(Section):
    """One paper; what is not known is null.

    `relevance` says in a sentence what it has to do with the task, `method` how it works, step by step; `model` and
    `training` are its figures by name.
    """

    key: Key
    title: Line | None = None
    authors: tuple[Line, ...] | None = None
    year: Annotated[int, Field(ge=1900, le=2100)] | None = None
    category: Category | None = None
    relevance: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None
    url: Line | None = None
    code: Code | None = None
    task: Long | None = None
    inputs: Long | None = None
    outputs: Long | None = None
    method: tuple[Long, ...] | None = None
    model: dict[str, Fact] | None = None
    training: dict[str, Fact] | None = None
    datasets: tuple[Line, ...] | None = None
    metrics: tuple[Line, ...] | None = None
    provenance: Provenance | None = None

    def known(self) -> dict[str, Any]:
        """What it says, as plain JSON values; nulls are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def over(self, other: "Entry") -> "Entry":
        """This entry, and what the other one of its key says besides."""
        said = {name: getattr(self, name) for name in Entry.model_fields if getattr(self, name) is not None}
        if said.get("code") and other.code and self.code and self.code.repo == other.code.repo:
            said["code"] = other.code.model_copy(update=self.code.model_dump(exclude_none=True))
        return other.model_copy(update=said)
