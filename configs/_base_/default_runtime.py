_base_ = ['mmpretrain::_base_/default_runtime.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
