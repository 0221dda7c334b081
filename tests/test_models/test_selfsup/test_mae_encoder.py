"""MAE's encoder: what it hides, what it shares with RVSA, bad input, agreement."""

from typing import Any
from unittest.mock import patch

import pytest
import torch
from helpers.archs import RVSA as VIT
from helpers.archs import RVSA_VITAE as VITAE
from helpers.reference import arrays, describe, image, relative_error, state_dict
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from mmvsa.models import RVSA, MAEEncoder, load_pretrained

every_kind = pytest.mark.parametrize('arch', [VIT, VITAE], ids=['vit', 'vitae'])


def encoder(arch: Any = VIT, **options: Any) -> MAEEncoder:
    torch.manual_seed(0)
    return MAEEncoder(arch, **{'img_size': 64, **options})


def with_statistics(module: nn.Module) -> nn.Module:
    """Give batch norms statistics, and everything weights that are no default."""
    for name, value in module.state_dict().items():
        if name.endswith('running_mean') or (name.endswith('bias') and value.is_floating_point()):
            nn.init.normal_(value, std=0.1)
        elif name.endswith('running_var'):
            nn.init.uniform_(value, 0.5, 2)
    return module.eval()


def encode(model: MAEEncoder, patches: Tensor) -> Tensor:
    """Patches through the blocks, without the class token."""
    for block in model.blocks:
        patches = block(patches, (1, patches.shape[1]))
    return model.norm(patches)


def test_official_sizes() -> None:
    """Parameters counted by hand; the official ones keep a zero position of the class token."""
    with torch.device('meta'):
        models = {name: MAEEncoder(name) for name in ('vit-b', 'vit-l', 'vitae-b', 'vitae-l')}
    for name, model in models.items():
        dims, depth = (768, 12) if name.endswith('b') else (1024, 24)
        block = 12 * dims**2 + 13 * dims
        if 'vitae' in name:  # two convolutions of dims / 4 groups, and the norm between them
            block += (16 + 4) * dims + 2 * 4 * dims + (16 + 1) * dims
        patches, class_token, positions, norm = (3 * 256 + 1) * dims, dims, 196 * dims, 2 * dims
        total = depth * block + patches + class_token + positions + norm
        assert sum(p.numel() for p in model.parameters()) == total, name


@every_kind
def test_a_quarter_is_visible(arch: dict) -> None:
    model = encoder(arch).eval()
    x = torch.randn(3, 3, 64, 64)
    latent, hidden, places = model(x)
    assert latent.shape == (3, 1 + 4, 16) and places.shape == (3, 16)
    assert hidden.sum(1).tolist() == [12] * 3 and hidden.dtype == torch.float32
    assert torch.equal(hidden == 1, places >= 4)
    assert [sorted(row) for row in places.tolist()] == [list(range(16))] * 3
    again = model(x)
    assert not torch.equal(again[1], hidden)
    # The visible patches are those of the mask, in the order of their places.
    patches = model.embed(x).flatten(1, 2)
    for index in range(3):
        chosen = patches[index, places[index].argsort()[:4]]
        expected = model._encode(chosen[None])[0]
        torch.testing.assert_close(latent[index], expected)


@every_kind
def test_nothing_hidden(arch: dict) -> None:
    model = encoder(arch).eval()
    x = torch.randn(2, 3, 64, 48)
    (token,) = model(x, mask=None)
    assert token.shape == (2, 16) and model.out_channels == (16,)
    probe = encoder(arch, mask_ratio=0.0).eval()
    probe.load_state_dict(model.state_dict())
    assert torch.equal(probe(x)[0], token)
    # Every patch matters to the class token.
    changed = x.clone()
    changed[..., 48:, 32:] += 1
    assert not torch.allclose(probe(changed)[0], token)


@every_kind
def test_rvsa_continues_pretraining(arch: dict) -> None:
    """All weights arrive; with full attention and without the class token the maps are equal."""
    model = with_statistics(encoder(arch))
    rvsa = RVSA(arch, img_size=64, attention=dict(type='full', position=None)).eval()
    report = load_pretrained(rvsa, model.state_dict())
    assert not report.missing and not report.unexpected and not report.mismatched
    assert len(report.resized) == (8 if arch is VITAE else 0)
    x = torch.randn(2, 3, 64, 64)
    (out,) = rvsa(x)
    expected = encode(model, model.embed(x).flatten(1, 2))
    torch.testing.assert_close(out.flatten(2).transpose(1, 2), expected)


@every_kind
def test_rvsa_keeps_what_pretraining_lacks(arch: dict) -> None:
    model, rvsa = encoder(arch), RVSA(arch, img_size=64)
    report = load_pretrained(rvsa, model.state_dict())
    own = [name for name in rvsa.state_dict() if 'regressor' in name or 'position' in name]
    assert own and set(report.missing) == set(own)
    assert not report.unexpected and not report.mismatched


@every_kind
@pytest.mark.parametrize('with_cp', [False, True])
def test_all_but_the_positions_learn(arch: dict, with_cp: bool) -> None:
    model = encoder(arch, with_cp=with_cp).train()
    (latent, *_) = model(torch.randn(4, 3, 64, 64))
    (latent * torch.randn_like(latent)).sum().backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == {'pos_embed'} and not model.pos_embed.requires_grad


@every_kind
def test_frozen_whole(arch: dict) -> None:
    model = encoder(arch, mask_ratio=0.0, frozen_stages=4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(torch.randn(4, 3, 64, 64))
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    part = encoder(arch, frozen_stages=2)
    free = {name.split('.')[1] for name, p in part.named_parameters() if p.requires_grad}
    assert free == {'2', '3', 'weight', 'bias'}  # two blocks and the norm


def test_other_images() -> None:
    model = encoder().eval()
    for size in ((64, 64), (96, 160), (65, 31)):
        latent, hidden, _ = model(torch.randn(1, 3, *size))
        patches = -(-size[0] // 16) * -(-size[1] // 16)
        assert hidden.shape == (1, patches) and latent.shape[1] == 1 + patches // 4


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(mask_ratio=1.0), r'mask_ratio must be in \[0, 1\), got 1.0'),
        (dict(arch='vit-h'), "unknown arch 'vit-h' of RVSA; choose one of"),
        (dict(frozen_stages=5), 'frozen_stages must be from -1 to 4'),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(**options)


def test_an_image_of_which_nothing_is_left_is_named() -> None:
    with pytest.raises(ValueError, match=r'mask_ratio=0.75 hides all 2 patches of an image'):
        encoder()(torch.randn(1, 3, 16, 32))


# The official implementation: equal masks, equal losses.

DECODER_NAMES = (
    ('decoder_norm.', 'ln1.'),
    ('.norm1.', '.ln1.'),
    ('.norm2.', '.ln2.'),
    ('.mlp.fc1.', '.ffn.layers.0.0.'),
    ('.mlp.fc2.', '.ffn.layers.1.'),
)


def decoder_weights(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """The decoder with the names of mmpretrain."""
    weights = {k: v for k, v in official.items() if k.startswith(('decoder_', 'mask_token'))}
    for old, new in DECODER_NAMES:
        weights = {key.replace(old, new): value for key, value in weights.items()}
    return weights


def build_mae(args: dict[str, Any], pcm_groups: int) -> nn.Module:
    """The MAE of mmpretrain in the sizes of a reference."""
    sizes = dict(embed_dims=args['embed_dim'], depth=args['depth'], num_heads=args['num_heads'])
    patches = (args['img_size'] // 16) ** 2
    decoder = {key: args[key] for key in args if key.startswith('decoder_')}
    init_default_scope('mmpretrain')
    return MODELS.build(
        dict(
            type='MAE',
            backbone=dict(
                type='mmvsa.MAEEncoder',
                arch=dict(sizes, pcm_groups=pcm_groups),
                img_size=args['img_size'],
            ),
            neck=dict(
                type='MAEPretrainDecoder',
                num_patches=patches,
                embed_dim=args['embed_dim'],
                **decoder,
            ),
            head=dict(
                type='MAEPretrainHead', loss=dict(type='PixelReconstructionLoss', criterion='L2')
            ),
        )
    )


@pytest.mark.parametrize(('name', 'pcm_groups'), [('MAE_ViT_tiny', 0), ('MAE_ViTAE_tiny', 8)])
def test_agrees_with_the_official_model(name: str, pcm_groups: int) -> None:
    info, expected, official = describe(name), arrays(name), state_dict(name)
    model = build_mae(info['args'], pcm_groups)
    positions = model.backbone.pos_embed
    assert torch.allclose(positions[:, 4::5], expected['pos_embed'][:, 1:], atol=1e-6)
    report = load_pretrained(model.backbone, official)
    assert not report.missing and not report.unexpected and not report.mismatched
    model.neck.load_state_dict(decoder_weights(official))
    # Fewer by the position of the class token; more by the bias of k, which has no influence.
    dims, depth = info['args']['embed_dim'], info['args']['depth']
    more = (depth * dims if pcm_groups else 0) - dims
    assert sum(p.numel() for p in model.parameters()) == info['num_params'] + more
    x = image(*[info['input'][i] for i in (0, 2, 3)])
    with torch.no_grad(), patch('torch.rand', return_value=expected['noise']):
        trained = model.train().loss(x, [])['loss']
        # The pass in training mode has moved the statistics of batch norms.
        load_pretrained(model.backbone, official)
        latent, hidden, places = model.eval().backbone(x)
        evaluated = model.loss(x, [])['loss']
    assert torch.equal(hidden, expected['mask']) and torch.equal(places, expected['places'])
    assert relative_error(latent, expected['latent']) < 1e-5
    assert relative_error(trained, expected['loss_train']) < 1e-6
    assert relative_error(evaluated, expected['loss_eval']) < 1e-6
    (token,) = model.backbone(x, mask=None)  # what a linear probe sees
    assert relative_error(token, expected['class_token']) < 1e-5
    prediction = model.neck(latent, places)[:, ::3, ::16]
    assert relative_error(prediction, expected['pred']) < 1e-5
