module gpufleet.io/testbed/components/karpenter-aws

go 1.27

require github.com/aws/karpenter-provider-aws v1.15.1
