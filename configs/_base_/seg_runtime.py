# MMEngine finds `mmseg::` under onedl-mmsegmentation only once mmvsa is imported, and
# `custom_imports` come after the bases: docs/downstream.md.
_base_ = __import__('mmvsa') and ['mmseg::_base_/default_runtime.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
