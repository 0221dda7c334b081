_base_ = ['../vitaev2/vitaev2-48m_8xb128_in1k.py']

model = dict(backbone=dict(arch='48m-vsa'))
