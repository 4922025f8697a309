{{- range $path, $content := .Files.Glob "definitions/*.yaml" }}
{{- $definition := $.Files.Get $path | fromYaml }}
{{- $annotations := merge (dict) $.Values.additionalAnnotations $definition.metadata.annotations }}
{{- $_ := set $definition.metadata "annotations" $annotations }}
---
{{ toYaml $definition }}
{{- end }}
