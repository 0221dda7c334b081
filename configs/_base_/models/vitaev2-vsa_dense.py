# Windows as in ViTAE-VSA's detection code, with which its detectors were trained: maps are padded
# on both sides, and an offset is divided by the number of windows along the other axis. Its
# classifiers see square images and pad at the end.
dense_vsa = dict(padding='center', transform=dict(offset_unit='swapped'))
