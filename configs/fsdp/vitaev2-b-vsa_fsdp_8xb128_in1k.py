_base_ = ['../vitaev2_vsa/vitaev2-b-vsa_8xb128_in1k.py', '../_base_/fsdp_runtime.py']

# MMEngine's EMAHook averages whole models, not shards.
custom_hooks = []
