"""A search's model, and what is kept beside the journal of what it was asked, what it said and what that used."""

from aira_lib.agents import Model
from aira_lib.agents.call_log import CALLS, CallLog, LoggedModel
from aira_lib.agents.providers import provider_of
from aira_lib.agents.replay import REPLIES, RecordingModel
from aira_lib.agents.transcript import TRANSCRIPT, TranscribedModel, Transcript
from aira_lib.study import AgentSection
from aira_lib.work import Work


def kept_files(agent: AgentSection) -> list[str]:
    """The files that an agent's search keeps beside its journal."""
    wanted = {
        CALLS: provider_of(agent.model).over_network,
        TRANSCRIPT: agent.keep_prompts,
        REPLIES: agent.record_replies,
    }
    return [name for name, is_kept in wanted.items() if is_kept]


class Asked:
    """The model with all that is kept of it.

    Attributes:
        model: What is to be asked.
    """

    def __init__(self, model: Model, agent: AgentSection, work: Work) -> None:
        """Go on with the files that there are."""
        kept = kept_files(agent)
        self._found_again = REPLIES in kept
        self._calls = CallLog(work.path / CALLS, lambda: work.push(CALLS)) if CALLS in kept else None
        self._transcript = Transcript(work.path / TRANSCRIPT) if TRANSCRIPT in kept else None
        if self._calls:
            model = LoggedModel(model, self._calls, provider_of(agent.model).price(agent.model))
        if self._transcript:
            model = TranscribedModel(model, self._transcript)
        if self._found_again:  # outermost: a reply that is found there is not asked for
            model = RecordingModel(model, work.path / REPLIES)
        self.model = model

    def begin(self, step: int) -> dict[str, float]:
        """Say that a step begins; what earlier calls for that very step used in vain."""
        if self._transcript:
            self._transcript.step = step
        return self._calls.start(step, self._found_again) if self._calls else {}
