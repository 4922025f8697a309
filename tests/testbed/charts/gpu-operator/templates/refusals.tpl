{{- /* What the vendor's templates refuse (v26.7.0), each where it fails there. */ -}}
{{- with .Values.devicePlugin.config }}
{{- if and .create (not .name) }}
{{- fail "devicePlugin.config.create is set, but devicePlugin.config.name is empty" }}
{{- end }}
{{- if and .create (empty .data) }}
{{- fail "devicePlugin.config.create is set, but devicePlugin.config.data is empty" }}
{{- end }}
{{- end }}
{{- if and .Values.clusterPolicy.deployCR .Values.gpuCluster.deployCR }}
{{- fail "clusterPolicy.deployCR and gpuCluster.deployCR exclude each other" }}
{{- end }}
{{- if and .Values.gpuCluster.deployCR .Values.driver.enabled (not .Values.driver.nvidiaDriverCRD.enabled) }}
{{- fail "gpuCluster.deployCR needs driver.nvidiaDriverCRD.enabled" }}
{{- end }}
{{- if .Values.cdi.nriPluginEnabled }}
{{- if not .Values.cdi.enabled }}
{{- fail "cdi.nriPluginEnabled needs cdi.enabled" }}
{{- end }}
{{- if not .Values.toolkit.enabled }}
{{- fail "cdi.nriPluginEnabled needs toolkit.enabled" }}
{{- end }}
{{- end }}
