"""ViTAE (2021): sizes, options, class token and positions."""

import pytest
import torch
from helpers.archs import VITAE as PYRAMID
from helpers.archs import VITAE_PATCH as PATCH
from torch import nn

from mmvsa.models import ViTAE, load_pretrained
from mmvsa.models.conversions import convert_vitae
from mmvsa.models.layers import resize_position


def nano(arch=PYRAMID, **options):
    torch.manual_seed(0)
    return ViTAE(arch, **options)


def count(backbone):
    return sum(p.numel() for p in backbone.parameters())


# Parameters of the official classifiers; the Performers' projections, which never train, are
# buffers here.
@pytest.mark.parametrize(
    ('arch', 'official', 'projections'),
    [
        ('13m', 10834728, 2 * 32 * 64),
        ('small', 24032136, 48 * 96 + 96 * 192),
        ('base', 89341672, 0),
        ('large', 311724008, 0),
        ('huge', 644528360, 0),
    ],
)
def test_official_sizes(arch, official, projections):
    with torch.device('meta'):
        backbone = ViTAE(arch, out_type='avg_featmap')
    head = (backbone.out_channels[-1] + 1) * 1000
    assert count(backbone) + head == official - projections


def test_the_mean_goes_through_the_norm_with_a_class_token():
    x = torch.randn(2, 3, 64, 64)
    for arch in (PYRAMID, PATCH):
        maps, means = (nano(arch, out_type=kind).eval() for kind in ('featmap', 'avg_featmap'))
        means.load_state_dict(maps.state_dict(), strict=False)
        expected = maps(x)[0].mean((2, 3))
        if arch is PATCH:
            expected = nn.functional.layer_norm(expected, (16,), eps=1e-6)
        torch.testing.assert_close(means(x)[0], expected)


def test_the_class_token_matters_through_the_attention_only():
    backbone = nano(PATCH, img_size=64).eval()
    x = torch.randn(1, 3, 64, 64)
    before = backbone(x)[0]
    with torch.no_grad():
        backbone.cls_token.mul_(100)
    assert not torch.equal(backbone(x)[0], before)


def test_options_change_the_parameters():
    for arch in (PYRAMID, PATCH):
        plain = count(nano(arch))
        changes = [
            dict(shallow_pcm=arch is PYRAMID),
            dict(mlp_ratio=3.0),
            dict(depths=arch['depths'][:-1] + (3,)),
        ]
        if arch is PYRAMID:
            changes.append(dict(kernel_sizes=(3, 3, 3)))
        else:
            changes.append(dict(class_token=False))
        for change in changes:
            assert count(nano({**arch, **change})) != plain, change  # type: ignore[dict-item]
        for options in (dict(qkv_bias=False), dict(in_channels=4)):
            assert count(nano(arch, **options)) != plain, options
    assert count(nano(PATCH, img_size=128)) != count(nano(PATCH))


@pytest.mark.parametrize(
    ('arch', 'options', 'message'),
    [
        ('xl', {}, "unknown arch 'xl' of ViTAE; choose one of"),
        ({**PYRAMID, 'num_heads': (1, 1)}, {}, 'num_heads has 2 entries for 3 stages'),
        ({**PYRAMID, 'width': 1}, {}, r"unknown: \['width'\]"),
        (dict(depths=(1,)), {}, 'missing: '),
        ({**PATCH, 'reductions': ('pool',)}, {}, r"reductions\[0\] must be one of .* 'pool'"),
        ({**PATCH, 'embed_dims': (8,)}, {}, "'patch' of stage 0 is 8 wide, token_dims says 16"),
        ({**PATCH, 'kernel_sizes': (3,)}, {}, 'kernel_sizes changes nothing in this arch'),
        ({**PYRAMID, 'token_dims': (8, 8, 30)}, {}, "'pyramid' of stage 2 is 32 wide"),
        ({**PYRAMID, 'class_token': True}, {}, 'class_token needs one stage'),
        (PYRAMID, dict(img_size=64), 'img_size changes nothing'),
        (PATCH, dict(performer_drop_rate=0.1), 'performer_drop_rate changes nothing'),
        (PATCH, dict(out_type='cls'), "out_type must be one of .* got 'cls'"),
    ],
)
def test_wrong_options_are_named(arch, options, message):
    with pytest.raises(ValueError, match=message):
        ViTAE(arch, **options)


def test_authors_names_of_a_class_token_model():
    backbone = nano(PATCH)
    official = {
        'layers.0.RC.cls_token': torch.ones(1, 1, 16),
        'layers.0.RC.pos_embed': torch.ones(1, 197, 16),
        'layers.0.RC.PRM.proj.bias': torch.ones(16),
        'layers.2.NC.1.PCM.0.bias': torch.ones(64),
        'layers.2.NC.1.attn.qkv.bias': torch.ones(48),
    }
    own = backbone.state_dict()
    for key, value in convert_vitae(official).items():
        assert own[key].shape == value.shape


def test_a_file_of_another_image_size_is_resized():
    source = nano(PATCH, img_size=64)
    target = nano(PATCH, img_size=96)
    report = load_pretrained(target, source.state_dict())
    assert report.resized == ['pos_embed: (1, 17, 16) -> (1, 37, 16)']
    expected = resize_position(source.pos_embed, (4, 4), (6, 6))
    assert torch.equal(target.pos_embed, expected)


def test_performer_dropout_acts_in_training_only():
    backbone = nano(norm_eval=True, performer_drop_rate=0.5).train()
    x = torch.randn(2, 3, 64, 64)
    assert not torch.equal(backbone(x)[0], backbone(x)[0])
    backbone.eval()
    assert torch.equal(backbone(x)[0], backbone(x)[0])
