{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version)
  "app.kubernetes.io/name" .Values.operator.name
  "app.kubernetes.io/component" "operator"
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/part-of" .Values.operator.name
  "app.kubernetes.io/version" .Chart.AppVersion
-}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Values.operator.name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- toYaml $labels | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Values.operator.name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- toYaml $labels | nindent 4 }}
spec:
  replicas: {{ .Values.operator.replicaCount }}
  selector:
    matchLabels: {app: {{ .Values.operator.name }}}
  template:
    metadata:
      labels: {app: {{ .Values.operator.name }}}
    spec:
      serviceAccountName: {{ .Values.operator.name }}
      automountServiceAccountToken: false
      nodeSelector: {{- merge (dict "kubernetes.io/os" "linux") .Values.nodeSelector | toYaml | nindent 8 }}
      containers:
        - name: {{ .Values.operator.name }}
          image: keda:{{ .Chart.AppVersion }}
