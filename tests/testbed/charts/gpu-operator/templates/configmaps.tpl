{{- with .Values.dcgmExporter.config }}
{{- if and .create .data }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "gpu-operator.labels" $ | nindent 4 }}
data:
  dcgm-metrics.csv: {{ .data | quote }}
{{- end }}
{{- end }}
---
{{- with .Values.devicePlugin.config }}
{{- if .create }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "gpu-operator.labels" $ | nindent 4 }}
data: {{- toYaml .data | nindent 2 }}
{{- end }}
{{- end }}
