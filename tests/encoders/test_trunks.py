"""Trunks: their equations written out or held against torch's own layers, published shapes and counts, refusals."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rltk.encoders import TRUNKS, Encoder, RecurrentDecoder, Shape, sinusoidal
from rltk.encoders import Decoder as TransformerDecoder
from rltk.encoders.attention import Layer, by_head, joined
from rltk.encoders.recurrence import GRU, LSTM, SRU, Elman
from rltk.encoders.seq2seq import BothWays
from rltk.encoders.trunks.boards import convolution
from rltk.encoders.trunks.dense import Block as DenseBlock
from rltk.encoders.trunks.inception import Module
from rltk.encoders.trunks.residual import Block as ResidualBlock
from rltk.errors import ArgumentError, SpaceError

PIXELS = spaces.Box(0, 255, (4, 84, 84), np.uint8)
BOARD = spaces.Box(0, 3, (5, 4, 1), np.uint8)
B, N, D, H = 2, 5, 6, 2


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def mixed(module):
    """The module in double precision, with numbers in all its weights."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return module


def close(found, expected):
    return torch.allclose(found, torch.as_tensor(expected, dtype=found.dtype), atol=1e-10)


# Attention


@pytest.mark.parametrize("width", [6, 7])
def test_sinusoidal_positions_are_the_formula(width):
    """Vaswani et al. (2017), section 3.5."""
    table = sinusoidal(50, width)
    for place in range(50):
        for column in range(width):
            angle = place / 10_000 ** (2 * (column // 2) / width)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert table[place, column].item() == pytest.approx(expected, abs=1e-6)


def test_attention_is_its_equation():
    """Vaswani et al. (2017), equation 1, in a loop over heads and places; torch's own function says the same."""
    q, k, v = random(B, N, D), random(B, N, D), random(B, N, D)
    expected = torch.zeros(B, N, D, dtype=torch.float64)
    for b in range(B):
        for head in range(H):
            part = slice(3 * head, 3 * head + 3)
            for i in range(N):
                weights = [math.exp(float(q[b, i, part] @ k[b, j, part]) / math.sqrt(3)) for j in range(N)]
                for j in range(N):
                    expected[b, i, part] += weights[j] / sum(weights) * v[b, j, part]

    heads = [by_head(x, H) for x in (q, k, v)]
    found = joined(nn.functional.scaled_dot_product_attention(*heads))
    assert close(found, expected)

    layer = mixed(Layer(D, H))
    x = layer.before_attention(q)
    reference = nn.MultiheadAttention(D, H, batch_first=True).double()
    reference.load_state_dict(
        {
            "in_proj_weight": layer.to_qkv.weight,
            "in_proj_bias": layer.to_qkv.bias,
            "out_proj.weight": layer.from_heads.weight,
            "out_proj.bias": layer.from_heads.bias,
        }
    )
    assert close(layer.attended(q, None) - q, reference(x, x, x)[0])


def as_torch(layer, cross=False):
    """The weights of a layer under the names of torch's TransformerEncoderLayer or TransformerDecoderLayer."""
    after = "norm3" if cross else "norm2"
    named = {
        "self_attn.in_proj_": layer.to_qkv,
        "self_attn.out_proj.": layer.from_heads,
        "norm1.": layer.before_attention,
        f"{after}.": layer.before_mlp,
        "linear1.": layer.mlp[0],
        "linear2.": layer.mlp[2],
    }
    if cross:
        named |= {"multihead_attn.out_proj.": layer.from_memory, "norm2.": layer.before_memory}
    state = {name + kind: getattr(one, kind) for name, one in named.items() for kind in ("weight", "bias")}
    if cross:
        for kind in ("weight", "bias"):
            state[f"multihead_attn.in_proj_{kind}"] = torch.cat([getattr(layer.to_q, kind), getattr(layer.to_kv, kind)])
    return state


FORM = {"d_model": D, "nhead": H, "dim_feedforward": 4 * D, "dropout": 0.0, "activation": "gelu"}


def test_the_layers_are_torchs_with_the_norm_first():
    layer, x = mixed(Layer(D, H)), random(B, N, D)
    reference = nn.TransformerEncoderLayer(**FORM, norm_first=True, batch_first=True).double()
    reference.load_state_dict(as_torch(layer))
    assert close(layer(x), reference(x))

    decoder, memory = mixed(TransformerDecoder(D, heads=H, causal=True)), random(B, 3, D)
    reference = nn.TransformerDecoderLayer(**FORM, norm_first=True, batch_first=True).double()
    reference.load_state_dict(as_torch(decoder.layers[0], cross=True))
    unseen = nn.Transformer.generate_square_subsequent_mask(N).double()
    assert close(decoder(x, memory), decoder.norm(reference(x, memory, tgt_mask=unseen)))
    free = mixed(TransformerDecoder(D, heads=H))
    free.load_state_dict(decoder.state_dict())
    assert not torch.allclose(free(x, memory), decoder(x, memory))


def test_a_layer_of_the_base_model_has_its_published_weights():
    """Dosovitskiy et al. (2021), table 1: ViT-Base, 12 layers of width 768 with 12 heads, 86 million in all, of which
    patches, class token and positions of a 224x224 picture make under a million."""
    with torch.device("meta"):
        layer = Layer(768, 12)
    count = 12 * sum(weight.numel() for weight in layer.parameters())
    patches = 768 * (16 * 16 * 3 + 1) + 768 + 197 * 768 + 2 * 768
    assert round((count + patches) / 1e6) == 86


def test_a_vision_transformer_reads_patches_and_asks_its_class_token():
    """84x84 is 144 patches of 7x7; the class token stands first and alone makes the features."""
    encoder = Encoder(PIXELS, "vit", token_width=8, features_dim=5)
    x = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    tokens = encoder.tokens(x)
    assert tokens.shape == (2, 1 + 144, 8)
    assert encoder.trunk.positions.shape == (145, 8)
    assert torch.equal(encoder(x), encoder.readout.layers(tokens[:, 0]))
    inside = encoder.trunk._sequence(encoder.stem(x))
    assert torch.equal(inside[:, 0], encoder.trunk.class_token.expand(2, -1))


def test_positions_tell_places_apart():
    """Without positions the mean over a Transformer's places would not know where anything stands."""
    for trunk in ("transformer", "vit", "encoder-decoder"):
        encoder = Encoder(BOARD, trunk, token_width=8, readout="mean").eval()
        x = torch.randint(0, 4, (1, 5, 4, 1), dtype=torch.uint8)
        turned = x.flip(1)
        assert not torch.allclose(encoder(turned), encoder(x), atol=1e-4)
        with torch.no_grad():
            encoder.trunk.positions.zero_()
        assert torch.allclose(encoder(turned), encoder(x), atol=1e-5)


# Recurrence


def test_elman_written_out():
    """h <- tanh(W x + U h + b), and single steps equal a sequence."""
    rnn, x = mixed(Elman(3, 4)), random(1, N, 3)
    w, u, b, d = rnn.cells.parameters()
    h, expected = torch.zeros(4, dtype=torch.float64), []
    for t in range(N):
        h = torch.tanh(w @ x[0, t] + u @ h + b + d)
        expected.append(h)
    out, state = rnn.sequence(x, rnn.initial(1))
    assert close(out[0], torch.stack(expected))
    assert close(state[0], h)
    assert close(rnn.step(x[:, 0], rnn.initial(1), torch.zeros(1, dtype=torch.bool))[0][0], expected[0])


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "sru"])
def test_recurrent_trunks_step_over_places_row_by_row(name):
    """A board's cells in reading order, then the places of the next part, as single steps of the cell."""
    space = spaces.Dict({"a": spaces.Box(0, 3, (2, 3, 1), np.uint8), "b": spaces.Discrete(4)})
    encoder = mixed(Encoder(space, name, token_width=5, width=4))
    x = {"a": torch.randint(0, 4, (B, 2, 3, 1), dtype=torch.uint8), "b": torch.randint(0, 4, (B,))}
    board, index = encoder.stem(x)
    places = [board[:, :, i, j] for i in range(2) for j in range(3)] + [index[:, 0]]
    cell, outs = encoder.trunk.cells, []
    state = cell.initial(B)
    for place in places:
        out, state = cell.step(place, state, torch.zeros(B, dtype=torch.bool))
        outs.append(out)
    assert close(encoder.tokens(x), torch.stack(outs, 1))
    assert close(encoder(x), encoder.readout.layers(outs[-1]))


@pytest.mark.parametrize("kind", [Elman, LSTM, GRU, SRU])
def test_the_last_state_still_knows_the_first_place(kind):
    """The gates' biases are those of Tallec and Ollivier (2018); the gradient of the last output by the first input,
    100 steps before, is many times that of torch's initialisation. Elman's network has no gate: 20 steps there."""
    steps = 20 if kind is Elman else 100

    def reach(cell):
        x = torch.randn(8, steps, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
        cell.sequence(x, cell.initial(8))[0][:, -1].square().sum().backward()
        return (x.grad[:, 0].norm() / x.grad[:, -1].norm()).item()

    cell = kind(16, 16)
    before = reach(cell)
    cell.remember(steps)
    assert reach(cell) > 100 * before
    if kind is LSTM:
        i, f, g, o = cell.cells.bias_ih_l0.chunk(4)
        assert torch.equal(i, -f)
        assert not torch.cat([g, o, cell.cells.bias_hh_l0]).any()
    else:
        f = {GRU: lambda: cell.cells.bias_ih_l0.chunk(3)[1], SRU: lambda: cell.forget_bias}.get(kind, lambda: None)()
    if f is not None:
        assert 0 <= f.min() < f.max() <= math.log(99)


@torch.no_grad()
def test_bahdanaus_decoder_written_out():
    """Bahdanau, Cho and Bengio (2015), appendix A: scores, weights and contexts place by place, then a GRU cell."""
    decoder, queries, memory = mixed(RecurrentDecoder(4, D)), random(B, 3, 4), random(B, N, D)
    w, u, v = decoder.of_state.weight, decoder.of_memory.weight, decoder.score.weight[0]
    found = decoder(queries, memory)
    for b in range(B):
        s = torch.tanh(decoder.begin(memory[b, 0]))
        for i in range(3):
            scores = [float(v @ torch.tanh(w @ s + u @ h)) for h in memory[b]]
            total = sum(map(math.exp, scores))
            context = sum(math.exp(score) / total * h for score, h in zip(scores, memory[b], strict=True))
            s = decoder.cell(torch.cat([queries[b, i], context]), s)
            assert close(found[b, i], s)


def test_the_encoder_reads_both_ways():
    """The first annotation has seen the last place, and the last one the first."""
    encoder, x = mixed(BothWays(3, 4, places=N)), random(B, N, 3).requires_grad_()
    there, _ = encoder.there.sequence(x, encoder.there.initial(B))
    back, _ = encoder.back.sequence(x.flip(1), encoder.back.initial(B))
    assert close(encoder(x)[:, 0], torch.cat([there[:, 0], back[:, -1]], 1))
    encoder(x)[:, 0].sum().backward()
    assert x.grad[:, -1].any()


@pytest.mark.parametrize("trunk", ["encoder-decoder", "seq2seq"])
def test_as_many_answers_as_queries(trunk):
    """However many places went in."""
    for space in (BOARD, spaces.MultiDiscrete([3, 4])):
        encoder = Encoder(space, trunk, token_width=8, queries=3)
        x = torch.zeros(2, *space.shape, dtype=torch.int64)
        assert encoder.tokens(x).shape[:2] == (2, 3)
        assert not encoder.trunk.keeps_places


# Convolutions


def convolutions(module):
    return [tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def test_the_residual_network_is_that_of_impala():
    """Espeholt et al. (2018), figure 3: 15 convolutions of 3x3, 16, 32, 32 filters, 256 units; 84x84 becomes 11x11."""
    encoder = Encoder(PIXELS, "impala", features_dim=256)
    first, second, third = [(16, 4), *4 * [(16, 16)]], [(32, 16), *4 * [(32, 32)]], 5 * [(32, 32)]
    assert convolutions(encoder) == [(*shape, 3, 3) for shape in first + second + third]
    assert encoder.readout.layers[0].weight.shape == (256, 32 * 11 * 11)
    assert encoder.trunk.shapes == [Shape(121, 32, (11, 11))]
    block, x = ResidualBlock(4), torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)  # it begins as the identity
    assert not torch.equal(mixed(block)(x.double()), x.double())


def test_an_inception_module_is_googlenets_first():
    """Szegedy et al. (2015), table 1, row 3a: 192 planes to 64 + 128 + 32 + 32, reduced to 96 and 16; 159K weights."""
    module = Module(192, 256)
    expected = [(64, 192, 1), (96, 192, 1), (128, 96, 3), (16, 192, 1), (32, 16, 5), (32, 192, 1)]
    assert convolutions(module) == [(*shape, shape[-1]) for shape in expected]
    assert sum(math.prod(shape) for shape in convolutions(module)) // 1024 == 159
    assert module(torch.zeros(1, 192, 4, 4)).shape == (1, 256, 4, 4)


def test_a_dense_block_keeps_all_that_came_before():
    """Huang et al. (2017), section 3: layer l reads k_0 + k (l - 1) planes; the first planes are what went in."""
    block, x = DenseBlock(24, 12, 3), torch.randn(2, 24, 5, 5)
    assert convolutions(block) == [(12, 24 + 12 * layer, 3, 3) for layer in range(3)]
    out = block(x)
    assert torch.equal(out[:, :24], x)
    assert torch.equal(out[:, 24:36], block.layers[0](x.relu()))
    assert torch.equal(out[:, 48:], block.layers[2](out[:, :48].relu()))


def test_a_vgg_block_is_two_convolutions_and_a_pooling():
    """Simonyan and Zisserman (2015), table 1; a board of symbols is not pooled."""
    kinds = [type(layer).__name__ for layer in Encoder(PIXELS, "vgg", filters=(8,)).trunk.parts[0]]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"]
    for name in ("vgg", "impala", "inception", "dense"):
        assert Encoder(BOARD, name).trunk.shapes[0].layout == (5, 4)


def test_deep_convolutions_keep_the_scale():
    """He et al. (2015), equation 10: through ten layers with ReLUs the mean square stays, within a factor of 10; by
    torch's own rule it falls by 10^7."""
    layers = nn.Sequential(*[part for _ in range(10) for part in (convolution(32, 32), nn.ReLU())])
    x = torch.randn(4, 32, 20, 20)
    assert 0.1 < layers(x).square().mean() / x.square().mean() < 10


# Refusals


@pytest.mark.parametrize(
    ("trunk", "options", "message"),
    [
        ("transformer", {"heads": 5}, "multiple of 5"),
        ("transformer", {"heads": 0}, "at least 1"),
        ("transformer", {"layers": 0}, "at least 1"),
        ("transformer", {"positions": "random"}, "sinusoidal, learned"),
        ("vit", {"queries": 3}, "queries"),
        ("encoder-decoder", {"queries": 0}, "at least 1"),
        ("seq2seq", {"width": 2.5}, "at least 1"),
        ("gru", {"width": True}, "at least 1"),
        ("impala", {"filters": ()}, "widths of layers"),
        ("impala", {"filters": 16}, "widths of layers"),
        ("vgg", {"convolutions": 0}, "at least 1"),
        ("inception", {"filters": (24,)}, "sixteenths"),
        ("dense", {"growth": 0}, "at least 1"),
        ("lstm", {"stem": "planes"}, 'stem="tokens"'),
    ],
)
def test_options_that_do_not_fit(trunk, options, message):
    space = spaces.Dict({"board": BOARD, "n": spaces.Discrete(3)})
    with pytest.raises(ArgumentError, match=message):
        Encoder(space, trunk, **options)


def test_a_flat_row_is_a_single_place():
    """A Transformer reads it as one; a sequence it is not."""
    x = torch.randn(2, 8)
    space = spaces.Box(-1, 1, (8,), np.float32)
    assert Encoder(space, "transformer", stem="flat").tokens(x).shape == (2, 1, 8)
    for name, trunk in TRUNKS.items():
        if trunk.needs == "sequence":
            with pytest.raises(SpaceError, match="two places or more"):
                Encoder(BOARD, name, stem="flat")
