{{- if .Values.crds.install }}
{{- range $path, $content := .Files.Glob "definitions/*.yaml" }}
{{- $definition := $.Files.Get $path | fromYaml }}
{{- $annotations := merge (dict) $.Values.crds.additionalAnnotations $definition.metadata.annotations }}
{{- $_ := set $definition.metadata "annotations" $annotations }}
---
{{ toYaml $definition }}
{{- end }}
{{- end }}
