apiVersion: v1
kind: ServiceAccount
metadata:
  name: gpu-operator
  namespace: {{ .Release.Namespace }}
  labels: {{- include "gpu-operator.labels" . | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: gpu-operator
  namespace: {{ .Release.Namespace }}
  labels: {{- include "gpu-operator.labels" . | nindent 4 }}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: gpu-operator
      app.kubernetes.io/component: gpu-operator
  template:
    metadata:
      labels:
        app: gpu-operator
        {{- include "gpu-operator.labels" . | nindent 8 }}
    spec:
      serviceAccountName: gpu-operator
      automountServiceAccountToken: false
      tolerations: {{- toYaml .Values.operator.tolerations | nindent 8 }}
      containers:
        - name: gpu-operator
          image: gpu-operator:{{ .Chart.AppVersion }}
          command: [gpu-operator]
