{{/*
A Role and who has it. Takes the root, a name, the role's namespace, its rules, and accounts of the runs' namespace.
*/}}
{{- define "aira.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "aira.labels" .root | nindent 4 }}
rules:
{{ .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "aira.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
{{- range .accounts }}
- kind: ServiceAccount
  name: {{ . }}
  namespace: {{ include "aira.runs" $.root }}
{{- end }}
{{- end }}
