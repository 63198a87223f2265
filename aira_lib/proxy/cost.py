"""What evaluating a design will take, before it is done."""

import math

from aira_lib.architecture.cost import count, flops_per_token
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.architecture.scales import Scale
from aira_lib.datasets.language import check_examples as check_language
from aira_lib.datasets.language import train_examples
from aira_lib.datasets.mad import MADTask, settings_for
from aira_lib.datasets.mad.splits import check_sizes
from aira_lib.study import LanguageName, MADTaskName, ProxySection

# mad-lab's rotary base; `Scale` defaults to that of long-context language models.
ROPE_THETA = 10_000.0


def task_settings(section: ProxySection, task: MADTaskName) -> MADTask:
    """The task at the section's difficulty.

    Raises:
        UserError: a difficulty that the task's definition cannot meet.
    """
    difficulty = section.difficulty.get(task)
    return settings_for(task, **(difficulty.model_dump() if difficulty else {}))


def check_examples(section: ProxySection) -> None:
    """Refuse sizes that the makers of examples would refuse in the first search.

    Raises:
        UserError: a difficulty that a task's definition cannot meet, or an empty split.
    """
    if section.text:
        check_language(section.text, section.language, section.validation_fraction)
        return
    for name in section.tasks:
        sizes = section.train_examples, section.test_examples, section.validation_fraction
        check_sizes(task_settings(section, name), *sizes)


def task_scale(section: ProxySection, settings: MADTask) -> Scale:
    """The section's model dimensions with a task's own vocabulary and length."""
    own = {"vocab_size": settings.vocab_size, "seq_len": settings.length, "rope_theta": ROPE_THETA}
    return section.scale().model_copy(update=own)


def language_scale(section: ProxySection) -> Scale:
    """The section's model dimensions with its text's length; the vocabulary is known with the text alone."""
    return section.scale().model_copy(update={"seq_len": section.language.seq_len, "rope_theta": ROPE_THETA})


def scored_scales(section: ProxySection) -> dict[MADTaskName | LanguageName, Scale]:
    """What a design is trained and scored on, MAD tasks or one text, with the model's dimensions on each."""
    if section.text:
        return {section.text: language_scale(section)}
    return {task: task_scale(section, task_settings(section, task)) for task in section.tasks}


def sample_counts(section: ProxySection) -> tuple[int, int]:
    """Training examples, validation included, and test examples of each MAD task or of the text."""
    if section.text:
        return train_examples(section.text, section.language), section.language.test_examples
    return section.train_examples, section.test_examples


def held_out(section: ProxySection) -> int:
    """How many of the training examples are held out for validation."""
    return round(sample_counts(section)[0] * section.validation_fraction)


def _examples_trained(section: ProxySection) -> list[int]:
    """Examples of each training of one task: on the kept part, and on all of them where the test is trained for."""
    every = sample_counts(section)[0]
    kept = every - held_out(section)
    return [kept, every] if section.retrain_for_test else [kept]


def count_steps(section: ProxySection) -> int:
    """Optimizer steps of one evaluation, all tasks together; the same for every design."""
    a_task = sum(math.ceil(n / section.batch_size) for n in _examples_trained(section)) * section.epochs
    return len(scored_scales(section)) * a_task


def steps_to(section: ProxySection, epoch: int) -> int:
    """Optimizer steps by which all tasks have had so many epochs of the training that validation scores."""
    return len(scored_scales(section)) * math.ceil(_examples_trained(section)[0] / section.batch_size) * epoch


def evaluation_flops(layers: tuple[str, ...], section: ProxySection) -> int:
    """Training and scoring FLOPs of one evaluation, in the paper's convention (no embedding, no head).

    A forward pass costs a third of a training step.
    """
    return sum(_flops_by_task(layers, section.at_depth(len(layers))).values())


def _flops_by_task(layers: tuple[str, ...], section: ProxySection) -> dict[MADTaskName | LanguageName, int]:
    trained = 3 * sum(_examples_trained(section)) * section.epochs
    scored = held_out(section) + sample_counts(section)[1]
    return {
        name: (trained + scored) * scale.seq_len * flops_per_token(layers, scale) // 3
        for name, scale in scored_scales(section).items()
    }


def seconds_by_task(layers: tuple[str, ...], section: ProxySection) -> dict[MADTaskName | LanguageName, float]:
    """Rough seconds of one CPU thread: arithmetic at each primitive's typical rate and its fixed cost a layer and step.

    The rates of the paper's primitives were measured with 16 layers at widths 32 (fp32) and 128 (bf16) on AVX-512
    CPUs, with the extra `fast`; they are right within a factor of two. Plain fp32 PyTorch takes three to five times as
    long at width 128.
    """
    section = section.at_depth(len(layers))
    scales = scored_scales(section)
    steps = count_steps(section) / len(scales)
    counts = {PRIMITIVES.named(symbol): n for symbol, n in count(layers).items()}
    fixed = steps * sum(n * primitive.cpu_seconds_per_layer_step for primitive, n in counts.items())
    seconds = dict.fromkeys(scales, fixed)
    for primitive, n in counts.items():
        for name, flops in _flops_by_task((primitive.symbol,) * n, section).items():
            seconds[name] += flops / primitive.cpu_flops_per_second
    return seconds


def seconds_estimate(layers: tuple[str, ...], section: ProxySection, threads: int = 1) -> float:
    """Rough seconds of one evaluation on a CPU, whose threads share its tasks."""
    seconds = seconds_by_task(layers, section)
    return max(max(seconds.values()), sum(seconds.values()) / threads)
