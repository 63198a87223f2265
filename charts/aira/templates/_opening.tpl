{{/*
An egress rule of a network policy. Takes an opening of the values, and whether it is for names, over UDP too:
(dict "opening" .Values.network.s3 "udp" false).
*/}}
{{- define "aira.egress" -}}
- to:
{{- range .opening.to }}
  {{- if .cidr }}
  - ipBlock:
      cidr: {{ .cidr }}
  {{- else }}
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ .namespace }}
    {{- with .pods }}
    podSelector:
      matchLabels: {{- toYaml . | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
  ports:
{{- $udp := .udp }}
{{- range .opening.ports }}
  - {protocol: TCP, port: {{ . }}}
  {{- if $udp }}
  - {protocol: UDP, port: {{ . }}}
  {{- end }}
{{- end }}
{{- end -}}
