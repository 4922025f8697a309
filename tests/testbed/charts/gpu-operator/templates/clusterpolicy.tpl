{{- if .Values.clusterPolicy.deployCR }}
apiVersion: nvidia.com/v1
kind: ClusterPolicy
metadata:
  name: cluster-policy
  labels: {{- include "gpu-operator.labels" . | nindent 4 }}
spec:
  operator:
    runtimeClass: {{ .Values.operator.runtimeClass }}
  daemonsets: {{- toYaml .Values.daemonsets | nindent 4 }}
  mig: {{- toYaml .Values.mig | nindent 4 }}
  psa: {{- toYaml .Values.psa | nindent 4 }}
  cdi: {{- toYaml .Values.cdi | nindent 4 }}
  driver:
    enabled: {{ .Values.driver.enabled }}
    useNvidiaDriverCRD: {{ .Values.driver.nvidiaDriverCRD.enabled }}
    version: {{ .Values.driver.version | quote }}
  toolkit: {{- toYaml .Values.toolkit | nindent 4 }}
  devicePlugin:
    enabled: {{ .Values.devicePlugin.enabled }}
    {{- if .Values.devicePlugin.config.name }}
    config:
      name: {{ .Values.devicePlugin.config.name }}
      default: {{ .Values.devicePlugin.config.default | quote }}
    {{- end }}
  dcgm: {{- toYaml .Values.dcgm | nindent 4 }}
  dcgmExporter:
    enabled: {{ .Values.dcgmExporter.enabled }}
    env: {{- toYaml .Values.dcgmExporter.env | nindent 6 }}
    serviceMonitor: {{- toYaml .Values.dcgmExporter.serviceMonitor | nindent 6 }}
    {{- if .Values.dcgmExporter.config.name }}
    config:
      name: {{ .Values.dcgmExporter.config.name }}
    {{- end }}
  gfd: {{- toYaml .Values.gfd | nindent 4 }}
  migManager:
    enabled: {{ .Values.migManager.enabled }}
    env: {{- toYaml .Values.migManager.env | nindent 6 }}
    config:
      name: {{ .Values.migManager.config.name | quote }}
      default: {{ .Values.migManager.config.default | quote }}
  nodeStatusExporter: {{- toYaml .Values.nodeStatusExporter | nindent 4 }}
  ccManager: {{- toYaml .Values.ccManager | nindent 4 }}
{{- end }}
