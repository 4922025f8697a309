module gpufleet.io/testbed/components/karpenter-azure

go 1.27

require github.com/Azure/karpenter-provider-azure v1.14.2
