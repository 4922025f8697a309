{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $fullname := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride -}}
{{- $selector := dict "app.kubernetes.io/name" $name "app.kubernetes.io/instance" .Release.Name -}}
{{- $labels := merge (dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version)
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
) $selector -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $fullname }}
  namespace: {{ .Release.Namespace }}
  labels: {{- toYaml $labels | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $fullname }}
  namespace: {{ .Release.Namespace }}
  labels: {{- toYaml $labels | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {{- toYaml $selector | nindent 6 }}
  template:
    metadata:
      labels: {{- toYaml $selector | nindent 8 }}
    spec:
      serviceAccountName: {{ $fullname }}
      automountServiceAccountToken: false
      nodeSelector: {{- toYaml .Values.nodeSelector | nindent 8 }}
      containers:
        - name: controller
          image: karpenter:{{ .Chart.AppVersion }}
          env:
            - {name: CLUSTER_NAME, value: {{ .Values.settings.clusterName | quote }}}
