# Sharded training: parameters, gradients and optimizer states are split over the processes, cells
# are recomputed in the backward pass.
runner_type = 'mmvsa.FlexibleRunner'
strategy = dict(type='mmvsa.FSDPStrategy', activation_checkpointing=True)
