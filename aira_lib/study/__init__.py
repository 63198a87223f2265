"""The study: what a person asks for, a section a file; reading it from YAML; digests of settings."""

from aira_lib.section import Distinct, Section, require_distinct
from aira_lib.study.agent import AgentSection, CandidateLimits
from aira_lib.study.aggregate import AggregateSection
from aira_lib.study.digests import canonical_json, changed, digest, flat
from aira_lib.study.downstream import DownstreamSection
from aira_lib.study.evaluate import EvaluateSection
from aira_lib.study.extrapolate import ExtrapolateSection
from aira_lib.study.language import DatasetName, LanguageData, LanguageName
from aira_lib.study.latency import LatencyMode, LatencySection
from aira_lib.study.optimizer import OptimizerSection, RateCheckSection
from aira_lib.study.pretrain import DataSection, IsoFlopSection, IsoTokenSection, PretrainSection, ReplicateSection
from aira_lib.study.proxy import MAD_TASKS, MADSettings, MADTaskName, ProxySection, StoppingSection
from aira_lib.study.resources import Resources, ResourcesAtScale
from aira_lib.study.study import Study
from aira_lib.study.task import DEFAULT_TASK, TaskSection

__all__ = [
    "DEFAULT_TASK",
    "MAD_TASKS",
    "AgentSection",
    "AggregateSection",
    "CandidateLimits",
    "DataSection",
    "DatasetName",
    "Distinct",
    "DownstreamSection",
    "EvaluateSection",
    "ExtrapolateSection",
    "IsoFlopSection",
    "IsoTokenSection",
    "LanguageData",
    "LanguageName",
    "LatencyMode",
    "LatencySection",
    "MADSettings",
    "MADTaskName",
    "OptimizerSection",
    "PretrainSection",
    "ProxySection",
    "RateCheckSection",
    "ReplicateSection",
    "Resources",
    "ResourcesAtScale",
    "Section",
    "StoppingSection",
    "Study",
    "TaskSection",
    "canonical_json",
    "changed",
    "digest",
    "flat",
    "require_distinct",
]
