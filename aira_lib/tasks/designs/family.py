"""The family of the Compose tasks: candidates are arrangements of layers, scored by the proxy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.evaluations.key import pieces_of, settings_of
from aira_lib.identity import computes, versions_of
from aira_lib.records import Node
from aira_lib.study import ProxySection, TaskSection, changed
from aira_lib.study.agent import AgentSection
from aira_lib.tasks.family import Cost, Opening, Sized, TaskFamily
from aira_lib.tasks.live import Evaluate, Task
from aira_lib.tasks.profile import fitting_profile, profile_named
from aira_lib.tasks.task import TASKS, SearchTask, proxy_for, task_named
from aira_lib.work import Work


class DesignFamily(TaskFamily):
    """See `TaskFamily`. A study's `proxy` says how designs are scored."""

    what = "a Compose task"
    has_designs = True

    def names(self) -> Sequence[str]:
        """See `TaskFamily`."""
        return tuple(TASKS)

    def task(self, section: TaskSection) -> SearchTask:
        """See `TaskFamily`."""
        task = task_named(section.name)
        return replace(task, primitives=section.primitives) if section.primitives else task

    def identity(self, section: TaskSection, proxy: ProxySection) -> dict[str, Any]:
        """See `TaskFamily`: how all designs, which have the same depth, are scored."""
        task = self.task(section)
        proxy = proxy_for(task, proxy)
        stopping = changed(proxy.stopping)
        return {
            "task": {"name": task.name, "layers": section.layers, "primitives": list(task.primitives)},
            "proxy": settings_of(proxy.at_depth(section.layers)) | ({"stopping": stopping} if stopping else {}),
            "code": versions_of("search", *pieces_of(proxy)),
            "computes": computes(),
            **PRIMITIVES.in_key(task.primitives),
        }

    def check(self, section: TaskSection, agents: Sequence[AgentSection], proxy: ProxySection) -> None:
        """See `TaskFamily`; the proxy must be on the data set of the task, or on none, and leave no split empty."""
        from aira_lib.proxy.cost import check_examples

        super().check(section, agents, proxy)
        check_examples(proxy_for(self.task(section), proxy))

    def sized(self, section: TaskSection, profile: str | None) -> Sized:
        """See `TaskFamily`; without a profile the paper's where there is CUDA, else a laptop's."""
        chosen, remark = (profile, "") if profile else _fitting()
        layers, proxy = profile_named(chosen, self.task(section).dataset)
        return Sized(section.model_copy(update={"layers": layers}), proxy, chosen, remark)

    def say_stand_ins(self, section: TaskSection, proxy: ProxySection, work: Work) -> None:
        """See `TaskFamily`."""
        from aira_lib.tasks.designs.sizes import say_data

        task = self.task(section)
        say_data(task, proxy_for(task, proxy), work)

    def params(self, section: TaskSection) -> dict[str, object]:
        """See `TaskFamily`."""
        return {"layers": section.layers}

    def summary(self, section: TaskSection, nodes: Sequence[Node]) -> dict[str, Any]:
        """See `TaskFamily`; evaluations trained and found differ between runs of the same search."""
        scored = [node for node in nodes if node.evaluation]
        designs = len({node.design for node in scored})
        trained = sum(node.evaluation.seconds > 0 for node in scored if node.evaluation)
        return {
            "layers": section.layers,
            "designs": designs,
            "evaluations_reused": len(scored) - designs,
            "evaluations_trained": trained,
            "evaluations_found": designs - trained,
        }

    def in_words(self, section: TaskSection) -> str:
        """See `TaskFamily`."""
        return f"{section.name}, {section.layers} layers"

    def cost(self, section: TaskSection, proxy: ProxySection) -> Cost:
        """See `TaskFamily`: of a design with equal shares of the task's primitives."""
        from aira_lib.proxy.cost import evaluation_flops, seconds_estimate

        task = self.task(section)
        layers = tuple(task.primitives[i % len(task.primitives)] for i in range(section.layers))
        proxy = proxy_for(task, proxy)
        return Cost(float(evaluation_flops(layers, proxy)), seconds_estimate(layers, proxy))

    def open(self, section: TaskSection, proxy: ProxySection, opening: Opening) -> Task:
        """See `TaskFamily`."""
        from aira_lib.device import ready_device
        from aira_lib.tasks.designs.live import DesignTask
        from aira_lib.tasks.live import DATA

        proxy = proxy_for(self.task(section), proxy)
        ready_device()  # before the first call of a model, not after it
        score = opening.evaluate or _evaluation(opening)
        return DesignTask(self.task(section), section.layers, proxy, score, opening.scratch / DATA, opening.threads)


def _evaluation(opening: Opening) -> Evaluate:
    """The proxy's evaluation, through the store that searches share where there is one."""
    from aira_lib.evaluations import EvaluationStore
    from aira_lib.proxy.evaluation import evaluate

    return EvaluationStore(opening.evaluations, evaluate, opening.asked_by) if opening.evaluations else evaluate


def _fitting() -> tuple[str, str]:
    name = fitting_profile()
    if name == "paper":
        return name, "Profile: paper (--profile laptop is smaller)."
    return name, (
        "Profile: laptop, a stand-in for the paper's sizes since this machine has no CUDA device "
        "(--profile paper searches at those)."
    )
