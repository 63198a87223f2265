{{/* Labels of every object. */}}
{{- define "aira-runs.labels" -}}
app.kubernetes.io/name: aira-runs
app.kubernetes.io/part-of: aira
app.kubernetes.io/component: submit
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Refuse what no pod could submit, here where somebody reads it. Takes the path of a file, its base name and its text.
Prints nothing.
*/}}
{{- define "aira-runs.check" -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .base) -}}
  {{- fail (printf "%s: a run's file is named by small letters, digits and dashes, and ends in .yaml" .path) -}}
{{- end -}}
{{- if gt (len .base) 40 -}}
  {{- fail (printf "%s: a run's file has a name of at most 40 characters" .path) -}}
{{- end -}}
{{- $run := fromYaml .text -}}
{{- with get $run "Error" -}}
  {{- fail (printf "%s: no YAML: %s" $.path .) -}}
{{- end -}}
{{- range list "name" "pipeline" -}}
  {{- if not (get $run .) -}}
    {{- fail (printf "%s: key %q is missing" $.path .) -}}
  {{- end -}}
{{- end -}}
{{- $known := list "name" "pipeline" "version" "preset" "study" "overrides" "store" "confirm" "units_at_once" "attempt" "follow" "state" -}}
{{- range $key, $_ := $run -}}
  {{- if not (has $key $known) -}}
    {{- fail (printf "%s: unknown key %q; valid: %s" $.path $key (join ", " $known)) -}}
  {{- end -}}
{{- end -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$" (toString $run.name)) -}}
  {{- fail (printf "%s: name %q: small letters, digits and dashes, at most 40" $.path (toString $run.name)) -}}
{{- end -}}
{{- if not (has ($run.state | default "running") (list "running" "terminated")) -}}
  {{- fail (printf "%s: state %q: it is running or terminated" $.path (toString $run.state)) -}}
{{- end -}}
{{- if and (hasKey $run "attempt") (not (regexMatch "^[1-9][0-9]*$" (toString $run.attempt))) -}}
  {{- fail (printf "%s: attempt %q: give a number from 1 on" $.path (toString $run.attempt)) -}}
{{- end -}}
{{- if and $run.preset $run.study -}}
  {{- fail (printf "%s: preset and study both say what is to run; keep one" $.path) -}}
{{- end -}}
{{- if kindIs "string" $run.study -}}
  {{- if not (or (regexMatch "#[0-9a-f]{64}$" $run.study) (hasPrefix "{" (trim $run.study))) -}}
    {{- fail (printf "%s: study %q: a pod has no file beside this one; write the study out, or name it STORE/...#DIGEST" .path $run.study) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What a Job does. Takes the root and the name of its run's ConfigMap. */}}
{{- define "aira-runs.job" -}}
backoffLimit: {{ .root.Values.backoffLimit }}
podFailurePolicy:
  rules:
  # A mistake in the file, or a run that was followed and failed: another pod would say the same.
  - action: FailJob
    onExitCodes:
      containerName: submit
      operator: In
      values: [1, 2]
  # A node that is drained is nobody's failure.
  - action: Ignore
    onPodConditions:
    - type: DisruptionTarget
      status: "True"
template:
  metadata:
    labels:
      {{- include "aira-runs.labels" .root | nindent 6 }}
      # Profiles of Kubeflow have Istio beside each pod, with which a Job would never end.
      sidecar.istio.io/inject: "false"
  spec:
    restartPolicy: Never
    serviceAccountName: {{ .root.Values.serviceAccount }}
    enableServiceLinks: false
    {{- with .root.Values.imagePullSecrets }}
    imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
    {{- end }}
    {{- with .root.Values.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .root.Values.tolerations }}
    tolerations: {{- toYaml . | nindent 4 }}
    {{- end }}
    securityContext:
      runAsNonRoot: true
      seccompProfile:
        type: RuntimeDefault
    containers:
    - name: submit
      image: {{ .root.Values.image }}
      args: [aira, submit, /etc/aira-run/run.yaml]
      env:
      - name: AIRA_CLUSTER
        value: /etc/aira/cluster.yaml
      - name: AIRA_SCRATCH
        value: /tmp/aira
      {{- range .root.Values.secrets }}
      {{- $secret := .name }}
      {{- range $variable, $key := .variables }}
      - name: {{ $variable }}
        valueFrom:
          secretKeyRef:
            name: {{ $secret }}
            key: {{ $key }}
      {{- end }}
      {{- end }}
      resources:
        requests: {{- toYaml .root.Values.resources | nindent 10 }}
        limits: {{- toYaml .root.Values.resources | nindent 10 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
      - name: run
        mountPath: /etc/aira-run
        readOnly: true
      - name: cluster
        mountPath: /etc/aira
        readOnly: true
      - name: kubeflow
        mountPath: /var/run/secrets/kubeflow/pipelines
        readOnly: true
      - name: tmp
        mountPath: /tmp
    volumes:
    - name: run
      configMap:
        name: {{ .run }}
    - name: cluster
      configMap:
        name: {{ .root.Values.clusterConfigMap }}
    - name: kubeflow
      projected:
        sources:
        - serviceAccountToken:
            path: token
            audience: {{ .root.Values.audience }}
            expirationSeconds: 7200
    - name: tmp
      emptyDir:
        sizeLimit: 1Gi
{{- end -}}
