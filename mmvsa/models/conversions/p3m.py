"""P3M-Net and its encoder, as ViTAE-Transformer/P3M-Net names them."""

from collections.abc import Mapping

from torch import Tensor

from .keys import Family, PublishedFiles, Row, StateDict, rename_keys

_UNUSED = 'without influence in the official network'
KEYS = (
    Row('{encoder.,}head.*', None, _UNUSED),
    Row('{encoder.,}layers.{i}.NC.{j}.attn.norm1.*', None, _UNUSED),
    Row('{encoder.,}layers.{i}.RC.proj{1,2,3}.*', '{backbone.,}stages.{i}.reduction.conv{1,2,3}.*'),
    Row('{encoder.,}layers.{i}.RC.*', '{backbone.,}stages.{i}.reduction.*'),
    Row('{encoder.,}layers.{i}.NC.*', '{backbone.,}stages.{i}.blocks.*'),
    Row('*.PCM.*', '*.pcm.*', 'convolution branch'),
    Row('decoder.decoder{4,3,2,1,0}_g.*', 'decode_head.glance.{0,1,2,3,4}.*', 'glance decoder'),
    Row('decoder.decoder{4,3,2,1,0}_l.*', 'decode_head.focus.{0,1,2,3,4}.*', 'focus decoder'),
    Row('decoder.decoder_final_{g,l}.*', 'decode_head.{glance,focus}_logits.*'),
    Row('decoder.tfi_{3,2,1,0}.*', 'decode_head.tfi.{0,1,2,3}.*', 'integration modules'),
    Row('decoder.{sbfi,dbfi}_{2,1,0}.*', 'decode_head.{sbfi,dbfi}.{0,1,2}.*'),
    Row(
        'decode_head.*.{transform1,transform2,conv1,bn1,conv2}.*',
        'decode_head.*.{transform,transform_encoder,conv,norm,side}.*',
    ),
)


def convert_p3m(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return an official state dict of P3M-Net, or of its encoder, with the names of mmvsa.

    Raises:
        CheckpointError: The file is of another model, see :func:`rename_keys`.
    """
    return rename_keys(state_dict, KEYS)


_P3M = '[P3M-Net](https://github.com/ViTAE-Transformer/P3M-Net)'
_FRESH = 'random projections, which the files lack, come from a fixed generator'

FAMILY = Family(
    'p3m',
    recognized_by=('encoder.layers.{i}.RC.{proj1,linear}.*',),
    convert=convert_p3m,
    files=(
        PublishedFiles(
            f'{_P3M}: P3M-Net (ViTAE-S)',
            'encoder.layers.0.RC.proj1.*',
            '`p3m-net_vitae-s`',
            _FRESH,
        ),
    ),
    tables={'P3M-Net': KEYS},
)
ENCODER_FAMILY = Family(
    'p3m encoder',
    recognized_by=('layers.{i}.RC.{proj1,linear}.*',),
    convert=convert_p3m,
    files=(
        PublishedFiles(
            f'{_P3M}: its encoder, trained on ImageNet',
            'layers.0.RC.proj1.*',
            '`mmvsa.PoolingViTAE`',
            f'{_FRESH}; the classifier is left out',
        ),
    ),
)
