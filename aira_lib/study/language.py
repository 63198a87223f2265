"""The part of a study that describes the text of a language-model proxy."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aira_lib.section import Distinct, Section

DatasetName = Literal["mad", "babistories", "dclm"]
LanguageName = Literal["babistories", "dclm"]

PAPER_TRAIN_EXAMPLES: dict[LanguageName, int] = {"babistories": 927_158, "dclm": 10_000}
PAPER_TEST_EXAMPLES = 9_275


class LanguageData(Section):
    """The text of a language-model proxy, and how it becomes examples.

    Documents become tokens, each ended by a mark, one after another; an example is a window of `seq_len` of them with
    the next token as target. So does BabiStories' own public training code, with 512 tokens of GPT-2's tokenizer; the
    paper gives the numbers of samples alone. Without `paths` a stand-in takes the text's place, named in every result.

    `paths` are files and folders (see `aira_lib.datasets.text.files`), `s3://bucket/key` of one object or a prefix, or
    `hf://OWNER/NAME[/CONFIG][@SPLIT]`. Test examples come from `test_paths`, else from documents held out by a hash
    that proxy.seed keys. Scripts of a task folder run elsewhere: for them, write absolute paths. `tokenizer` is
    "bytes", "words" (the `vocab_size` most frequent words of the training text), a tokenizer.json file, or the name of
    a tokenizer on Hugging Face such as gpt2.
    """

    paths: Annotated[tuple[str, ...], Distinct] = ()
    test_paths: Annotated[tuple[str, ...], Distinct] = ()
    text_field: str = "text"
    tokenizer: str = Field("bytes", min_length=1)
    vocab_size: int = Field(4096, ge=8)
    seq_len: int = Field(512, ge=2)
    train_examples: int | None = Field(None, ge=4)
    """None: the paper's 927,158 of BabiStories and 10,000 of DCLM."""
    test_examples: int = Field(PAPER_TEST_EXAMPLES, ge=1)

    @model_validator(mode="after")
    def _test_of_something(self) -> "LanguageData":
        if self.test_paths and not self.paths:
            raise ValueError("test_paths need paths: a stand-in has a test of its own")
        return self
