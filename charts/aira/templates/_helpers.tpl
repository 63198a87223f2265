{{/* The namespace of the runs. */}}
{{- define "aira.runs" -}}
{{- .Values.cluster.kubeflow.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* The namespace of agents' programs; empty where they run within their search's pod. */}}
{{- define "aira.candidates" -}}
{{- with .Values.cluster.candidates -}}{{- .namespace -}}{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "aira.labels" -}}
app.kubernetes.io/name: aira
app.kubernetes.io/part-of: aira
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.team }}
aira/team: {{ . }}
{{- end }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Labels by which pods of the chart's own are told apart; takes what they do. Profiles of Kubeflow have Istio beside each
pod unless it says no: a job would never end with it, nor would ranks find each other.
*/}}
{{- define "aira.component" -}}
app.kubernetes.io/part-of: aira
app.kubernetes.io/component: {{ . }}
sidecar.istio.io/inject: "false"
{{- end -}}

{{/* Secrets with the registry's login, as pods and service accounts list them. */}}
{{- define "aira.pullSecrets" -}}
{{- with .Values.accounts.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* What every container of the chart's own gives up. */}}
{{- define "aira.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The newest API of Kueue's that the cluster has; empty: none. */}}
{{- define "aira.kueue" -}}
{{- if .Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta2/LocalQueue" -}}kueue.x-k8s.io/v1beta2
{{- else if .Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta1/LocalQueue" -}}kueue.x-k8s.io/v1beta1
{{- end -}}
{{- end -}}

{{/* The texts of all compiled pipelines: the chart's files, then those of the values. */}}
{{- define "aira.manifests" -}}
{{- if .Values.pipelines.create -}}
{{- range $path, $_ := .Files.Glob "files/pipelines/*.yaml" }}
---
{{ $.Files.Get $path }}
{{- end }}
{{- range $name, $text := .Values.pipelines.manifests }}
---
{{ $text }}
{{- end }}
{{- end -}}
{{- end -}}
