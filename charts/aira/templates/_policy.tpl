{{/*
A network policy of the runs' namespace. Takes the root, a name, the selector of its pods, the openings by name; `deny`:
lets nothing in, nothing out; `among`: the pods also reach each other, on all ports.
*/}}
{{- define "aira.policy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: aira-{{ .name }}
  namespace: {{ include "aira.runs" .root }}
  labels: {{- include "aira.labels" .root | nindent 4 }}
spec:
  podSelector: {{- toYaml .pods | nindent 4 }}
  {{- if .deny }}
  policyTypes: [Ingress, Egress]
  {{- else }}
  policyTypes: [{{ if .among }}Ingress, {{ end }}Egress]
  {{- if .among }}
  ingress:
  - from:
    - podSelector: {{- toYaml .pods | nindent 8 }}
  {{- end }}
  egress:
  {{- range .openings }}
  # {{ . }}
  {{- include "aira.egress" (dict "opening" (get $.root.Values.network .) "udp" (eq . "dns")) | nindent 2 }}
  {{- end }}
  {{- if .among }}
  # each other
  - to:
    - podSelector: {{- toYaml .pods | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
