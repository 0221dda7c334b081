# The first base of every config for mmseg. MMEngine finds `mmseg::` under onedl-mmsegmentation once
# mmvsa is imported; it reads bases in their order, and `custom_imports` after them
# (docs/downstream.md).
_base_ = __import__('mmvsa') and ['mmseg::_base_/default_runtime.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
