"""What the adapter to lm-evaluation-harness costs beside bare forward passes, and gains over one request at a time.

    python -m tests.benchmarks.bench_downstream [SCALE] [PATTERN] [ITEMS] [FOLDER]

Bound: 1.10 times the CPU time of the forward passes of the very batches that it makes, head included. Requests are
those of the first ITEMS (100) items of each of the six zero-shot tasks in FOLDER, where `make eval-data` puts them;
without them random texts of such lengths. Beside it the adapter as it is, which reads some prompts of several choices
once; and for some requests one at a time, and, where transformers is installed, the harness's own `hf` model on the
exported weights, in batches of 32. All on one thread, in turns, in CPU time.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from lm_eval.api.instance import Instance
from torch import Tensor

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.scales import Scale, scale_named
from aira_lib.downstream import scoring, shared
from aira_lib.downstream.adapter import HarnessModel
from aira_lib.downstream.data import data_folder
from aira_lib.downstream.harness import harness_task
from aira_lib.downstream.shared import shares
from aira_lib.downstream.tables import tasks_named
from aira_lib.downstream.tokens import PromptTokenizer, prompt_tokenizer
from aira_lib.errors import UserError
from aira_lib.exchange.export_model import export_model
from aira_lib.extrapolate.stage import describe
from aira_lib.models import loss
from aira_lib.models.language_model import LanguageModel
from aira_lib.pretrain.points import pretraining_points
from aira_lib.pretrain.stage import pretrain
from aira_lib.records import TrainingRun, read_row
from aira_lib.settings import Settings
from aira_lib.study import DataSection, PretrainSection
from aira_lib.training.trained import trained_model
from tests.builders import small_text, work_in

BOUND, REPEATS, SOME, HF_BATCH = 1.10, 7, 200, 32


def record_of(folder: Path, scale: Scale, pattern: str) -> tuple[TrainingRun, Path]:
    """The record of a training of one step."""
    section = PretrainSection.model_validate(
        {
            "data": small_text(folder / "text"),
            "isotoken": {"scale": scale.name, "tokens": scale.tokens_per_step, "seeds": [0]},
        }
    )
    design = describe(
        "x@x", base="x", kind="find", method="stretch", layers=parse(pattern), scale=scale, trainable=True
    )
    pretrain(section, pretraining_points(section, [design])[0], work_in(folder / "record"))
    return read_row(folder / "record/run.json", TrainingRun), folder / "record"


def real(folder: Path, items: int) -> Iterator[Instance]:
    """The requests of some items of each of the six tasks."""
    for task, shots in tasks_named(("six",)):
        for requests in harness_task(task, shots, folder, items, 0).requests:
            yield from requests


def made_up(items: int) -> Iterator[Instance]:
    """Four choices of 5 to 100 letters to prompts of 20 to 300."""
    rng = random.Random(0)
    for item in range(6 * items):
        prompt, *choices = (
            "".join(rng.choices("abcdef ", k=rng.randint(*ends))) for ends in ((20, 300), *[(5, 100)] * 4)
        )
        yield from (Instance("loglikelihood", {}, (prompt, f" {each}"), 0, ("x", item, 1)) for each in choices)


class Bare:
    """The forward passes of an adapter's batches, again: tokens and scored features, nothing around them."""

    def __init__(self, model: LanguageModel, ask: Callable[[], Any]) -> None:
        """Note what a model computes while it is asked."""
        self.model, self.passes = model, list[tuple[Tensor, Tensor]]()
        hook = model.backbone.register_forward_pre_hook(lambda module, given: self.passes.append((given[0], given[0])))
        original = loss.token_scores

        def noted(features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
            self.passes[-1] = self.passes[-1][0], targets
            return original(features, weight, bias, targets)

        scoring.loss.token_scores = noted
        ask()
        scoring.loss.token_scores = original
        hook.remove()

    @property
    def tokens(self) -> int:
        """That are read in all."""
        return sum(read.numel() for read, _ in self.passes)

    def __call__(self) -> None:
        """Compute it again."""
        head = self.model.head
        with torch.inference_mode():
            for tokens, targets in self.passes:
                features = self.model.backbone(tokens).flatten(0, 1)
                features = features.repeat(-(-len(targets) // len(features)), 1)[: len(targets)]
                loss.token_scores(features, head.weight, head.bias, targets)


def one_at_a_time(model: LanguageModel, tokens: PromptTokenizer, context: int, requests: list[Instance]) -> None:
    """All logits of each request by itself."""
    for request in requests:
        prompt, rest = (tokens.encode(text) for text in request.args)
        read = torch.tensor([[tokens.before, *prompt, *rest][-context - 1 :]])
        with torch.inference_mode():
            chances = model(read[:, :-1]).log_softmax(-1)
        chances[0].gather(-1, read[0, 1:, None])[-len(rest) :].sum().item()


def hf(record: Path, folder: Path) -> Any:
    """The harness's `hf` model on exported weights.

    Its module imports accelerate, which only spreads models over devices: where that is missing an empty one will do.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationMixin  # noqa: F401  (before what is empty)

    if not find_spec("accelerate"):
        empty, more = ModuleType("accelerate"), ModuleType("accelerate.utils")
        empty.Accelerator = empty.InitProcessGroupKwargs = empty.find_executable_batch_size = None  # type: ignore[attr-defined]
        more.get_max_memory = None  # type: ignore[attr-defined]
        sys.modules |= {"accelerate": empty, "accelerate.utils": more}
    from lm_eval.models.huggingface import HFLM

    for _ in export_model(str(record), folder / "exported", Settings.from_environment()):
        pass
    exported = str(folder / "exported")
    return HFLM(
        AutoModelForCausalLM.from_pretrained(exported, trust_remote_code=True),
        tokenizer=AutoTokenizer.from_pretrained(exported, trust_remote_code=True), batch_size=HF_BATCH,
    )  # fmt: skip


def seconds(work: Callable[[], Any]) -> float:
    """CPU time of it."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main(name: str, pattern: str, items: int, folder: str) -> int:
    """Measure; 1 where the bound is broken."""
    torch.set_num_threads(1)
    scale = scale_named(name, 3)
    try:
        requests, what = list(real(data_folder(folder), items)), "of the six tasks"
    except UserError:
        requests, what = list(made_up(items)), "made up"
    with tempfile.TemporaryDirectory() as place:
        run, record = record_of(Path(place), scale, pattern)
        model, tokens = trained_model(run, record), prompt_tokenizer(run, DataSection(), record)

        def ask() -> None:
            HarnessModel(model, scale, tokens).loglikelihood(requests)

        def ask_unshared() -> None:
            """With all prompts read as often as they are asked, as the bare passes have it."""
            shared.shares = lambda computer: False
            ask()
            shared.shares = shares

        # The harness's model refuses a continuation that is longer than its context.
        short = [each for each in requests if len(tokens.encode(each.args[1])) < scale.seq_len - 8]
        some = random.Random(0).sample(short, SOME)
        bare = Bare(model, ask_unshared)
        ways = {
            "bare": bare,
            "adapter": ask_unshared,
            "shared": ask,
            "some": lambda: HarnessModel(model, scale, tokens).loglikelihood(some),
            "alone": lambda: one_at_a_time(model, tokens, scale.seq_len, some),
        }
        if find_spec("transformers"):
            other = hf(record, Path(place))
            ways["hf"] = lambda: other.loglikelihood(some, disable_tqdm=True)
        rounds = [{way: seconds(work) for way, work in ways.items()} for _ in range(REPEATS)]
    print(f"{name} {pattern}: {len(requests):,} requests {what}, {bare.tokens:,} tokens read, padding included")
    for way in ways:
        of, count = ("bare", len(requests)) if way in ("bare", "adapter", "shared") else ("some", len(some))
        ratios = sorted(one[way] / one[of] for one in rounds)
        print(
            f"{way:8} {count / statistics.median(one[way] for one in rounds):8.0f} requests a CPU second, "
            f"{statistics.median(ratios):6.2f} of the time of {of} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    held = statistics.median(one["adapter"] / one["bare"] for one in rounds) <= BOUND
    print(f"bound {BOUND:.2f}: {'held' if held else 'BROKEN'}")
    return 0 if held else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    defaults = ["nano", "8(A-M)", "100", ""]
    name, pattern, items, folder = given + defaults[len(given) :]
    sys.exit(main(name, pattern, int(items), folder))
