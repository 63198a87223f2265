{{/* What tasks may do in the namespace of the runs. */}}
{{- define "aira.rules.pipeline" -}}
# Kubeflow's driver and launcher: their settings, the artifact store's login, their own pod.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [kfp-launcher]
  verbs: [get]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ .Values.accounts.artifactSecret }}]
  verbs: [get]
# Argo's side container: what a task gave.
- apiGroups: [argoproj.io]
  resources: [workflowtaskresults]
  verbs: [create, patch]
# The run that a training belongs to, and runs that an answer was lost of.
- apiGroups: [argoproj.io]
  resources: [workflows]
  verbs: [get, list]
# Pods of trainings, and what became of them.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# Runs of a study's searches and trainings, which its own run starts and follows.
- apiGroups: [pipelines.kubeflow.org]
  resources: [runs]
  verbs: [create, get, list, terminate]
- apiGroups: [pipelines.kubeflow.org]
  resources: [pipelines]
  verbs: [get, list]
- apiGroups: [pipelines.kubeflow.org]
  resources: [experiments]
  verbs: [create, get, list]
{{- if .Values.cluster.training }}
- apiGroups: [trainer.kubeflow.org]
  resources: [trainjobs]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [trainer.kubeflow.org]
  resources: [trainingruntimes]
  verbs: [get, list]
{{- end }}
{{- end -}}

{{/* What a Job may do that starts a run from a file. */}}
{{- define "aira.rules.submitter" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create, get, update]
- apiGroups: [pipelines.kubeflow.org]
  resources: [runs]
  verbs: [create, get, list, terminate]
- apiGroups: [pipelines.kubeflow.org]
  resources: [pipelines]
  verbs: [get, list]
- apiGroups: [pipelines.kubeflow.org]
  resources: [experiments]
  verbs: [create, get, list]
- apiGroups: [argoproj.io]
  resources: [workflows]
  verbs: [list]
{{- end -}}

{{/* What tasks may do in the namespace of agents' programs: start one, hand its data in and out, end it. */}}
{{- define "aira.rules.candidates" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [create, delete, get, list, watch]
- apiGroups: [""]
  resources: [pods/exec]
  verbs: [create, get]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}

{{/* What the sweep looks at in the namespace of the runs. */}}
{{- define "aira.rules.sweep.parents" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
{{- end -}}

{{/* What the sweep may do in the namespace of agents' programs. */}}
{{- define "aira.rules.sweep.candidates" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [delete, list]
{{- end -}}
