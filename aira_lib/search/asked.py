"""A search's models, and what is kept beside the journal of what they were asked, what they said and what that used."""

from collections.abc import Callable

from aira_lib.agents import Model
from aira_lib.agents.call_log import CALLS, CallLog, LoggedModel
from aira_lib.agents.model import LeavesOut
from aira_lib.agents.providers import provider_of
from aira_lib.agents.replay import REPLIES, RecordingModel
from aira_lib.agents.transcript import TRANSCRIPT, TranscribedModel, Transcript
from aira_lib.study import AgentSection
from aira_lib.study.agent import Asking, OperatorName
from aira_lib.work import Work


def kept_files(agent: AgentSection) -> list[str]:
    """The files that an agent's search keeps beside its journal."""
    wanted = {
        CALLS: any(provider_of(model).over_network for model in agent.models),
        TRANSCRIPT: agent.keep_prompts,
        REPLIES: agent.record_replies,
    }
    return [name for name, is_kept in wanted.items() if is_kept]


class Asked:
    """The models of an agent's operators, with all that is kept of them."""

    def __init__(self, agent: AgentSection, work: Work) -> None:
        """Go on with the files that there are."""
        kept = kept_files(agent)
        self._agent, self._work, self._found_again = agent, work, REPLIES in kept
        self._calls = CallLog(work.path / CALLS, lambda: work.push(CALLS)) if CALLS in kept else None
        self._transcript = Transcript(work.path / TRANSCRIPT) if TRANSCRIPT in kept else None
        self._plain: dict[Asking, Model] = {}
        self._models: dict[Asking, Model] = {}

    def make_models(self, make: Callable[..., Model]) -> None:
        """Make the models, before the first of them is asked; `make` is given a name, a temperature and an effort."""
        for asking in self._agent.askings:
            self._plain[asking] = make(*asking)
            self._models[asking] = self._kept(asking[0], self._plain[asking])

    def model_for(self, operator: OperatorName) -> Model:
        """Who is to be asked for an operator, now."""
        if self._transcript:
            self._transcript.operator = operator
        return self._models[self._agent.asking(operator)]

    def begin(self, step: int) -> dict[str, float]:
        """Say that a step begins; what earlier calls for that very step used in vain."""
        if self._transcript:
            self._transcript.step = step
        return self._calls.start(step, self._found_again) if self._calls else {}

    def say_left_out(self) -> None:
        """Say in the record which settings providers did not take."""
        for model in self._plain.values():
            for setting in sorted(model.left_out) if isinstance(model, LeavesOut) else []:
                what = f"{model.name} does not take one"
                self._work.stand_in(f"the provider's own {setting}", f"the agent's {setting}", what)

    def _kept(self, name: str, model: Model) -> Model:
        if self._calls:
            model = LoggedModel(model, self._calls, provider_of(name).price(name))
        if self._transcript:
            model = TranscribedModel(model, self._transcript)
        if self._found_again:  # outermost: a reply that is found there is not asked for
            model = RecordingModel(model, self._work.path / REPLIES)
        return model
