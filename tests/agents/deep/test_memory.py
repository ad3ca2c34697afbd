"""Memories: their equations written out, steps against sequences, forgetting at starts, the Transformer's window."""

import math

import pytest
import torch
from only_on_meta import OnlyOnMeta
from torch import nn
from torch.utils._pytree import tree_leaves

from rltk.agents.deep.networks.memory import MEMORIES, memory_of
from rltk.agents.deep.networks.transformer import Transformer
from rltk.encoders.recurrence import GRU, LSTM, SRU, Memory
from rltk.errors import ArgumentError, UnknownNameError

KINDS = [
    *((name, {"width": 6}) for name in ("lstm", "gru", "sru")),
    ("sru", {"width": 3}),
    ("transformer", {"width": 6, "heads": 2, "steps": 4}),
    ("transformer", {"width": 6, "heads": 3, "steps": 8, "layers": 3}),
    ("transformer", {"width": 6, "heads": 2, "steps": 1}),
]
every_memory = pytest.mark.parametrize(("name", "options"), KINDS)
F, B, L = 3, 5, 12


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def made(name, options):
    """A memory in double precision, with numbers in all its weights."""
    memory = memory_of(name, F, options).double()
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return memory


def inputs():
    start = torch.zeros(B, L, dtype=torch.bool)
    start[0, 0] = start[1, 5] = start[2, 4] = start[2, 5] = start[3, L - 1] = True
    return torch.randn(B, L, F, dtype=torch.float64), start


def sigmoid(number):
    return 1 / (1 + math.exp(-number))


def product(row, vector):
    return sum(weight * float(number) for weight, number in zip(row, vector, strict=True))


def test_lstm_written_out():
    """The equations at the top of `recurrence`, entry by entry."""
    lstm, x = made("lstm", {"width": 6}), torch.randn(1, 4, F, dtype=torch.float64)
    w, u, b, d = (weight.tolist() for weight in lstm.cells.parameters())  # rows of i, f, g, o; b + d is the bias
    h, c, expected = [0.0] * 6, [0.0] * 6, []
    for t in range(4):
        gate = [product(w[k], x[0, t]) + product(u[k], h) + b[k] + d[k] for k in range(24)]
        c = [sigmoid(gate[6 + m]) * c[m] + sigmoid(gate[m]) * math.tanh(gate[12 + m]) for m in range(6)]
        h = [sigmoid(gate[18 + m]) * math.tanh(c[m]) for m in range(6)]
        expected.append(h)

    out, state = lstm.sequence(x, lstm.initial(1), torch.zeros(1, 4, dtype=torch.bool))

    assert torch.allclose(out[0], torch.tensor(expected, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(state[1][0], torch.tensor(c, dtype=torch.float64), atol=1e-12)


def test_gru_written_out():
    """The equations at the top of `recurrence`, entry by entry."""
    gru, x = made("gru", {"width": 6}), torch.randn(1, 4, F, dtype=torch.float64)
    w, u, b, d = (weight.tolist() for weight in gru.cells.parameters())  # rows of r, z, n
    h, expected = [0.0] * 6, []
    for t in range(4):
        from_x = [product(w[k], x[0, t]) + b[k] for k in range(18)]
        from_h = [product(u[k], h) + d[k] for k in range(18)]
        r = [sigmoid(from_x[m] + from_h[m]) for m in range(6)]
        z = [sigmoid(from_x[6 + m] + from_h[6 + m]) for m in range(6)]
        n = [math.tanh(from_x[12 + m] + r[m] * from_h[12 + m]) for m in range(6)]
        h = [(1 - z[m]) * n[m] + z[m] * h[m] for m in range(6)]
        expected.append(h)

    out, state = gru.sequence(x, gru.initial(1), torch.zeros(1, 4, dtype=torch.bool))

    assert torch.allclose(out[0], torch.tensor(expected, dtype=torch.float64), atol=1e-12)
    assert torch.equal(state, out[:, -1])


@pytest.mark.parametrize("width", [F, 6])
def test_sru_written_out(width):
    """Lei et al. (2018), equations 1 to 4, entry by entry, with and without a matrix in the highway."""
    sru, x = made("sru", {"width": width}), torch.randn(1, 4, F, dtype=torch.float64)
    w, h = sru.from_input.weight.tolist(), [] if width == F else sru.highway.weight.tolist()
    v_f, v_r = sru.forget_cell.tolist(), sru.reset_cell.tolist()
    b_f, b_r = sru.forget_bias.tolist(), sru.reset_bias.tolist()
    c, expected = [0.0] * width, []
    for t in range(4):
        now = x[0, t].tolist()
        highway = [product(row, now) for row in h] if h else now
        f = [sigmoid(product(w[width + m], now) + v_f[m] * c[m] + b_f[m]) for m in range(width)]
        r = [sigmoid(product(w[2 * width + m], now) + v_r[m] * c[m] + b_r[m]) for m in range(width)]
        c = [f[m] * c[m] + (1 - f[m]) * product(w[m], now) for m in range(width)]
        expected.append([r[m] * c[m] + (1 - r[m]) * highway[m] for m in range(width)])

    out, state = sru.sequence(x, sru.initial(1), torch.zeros(1, 4, dtype=torch.bool))

    assert torch.allclose(out[0], torch.tensor(expected, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(state[0], torch.tensor(c, dtype=torch.float64), atol=1e-12)


def test_one_layer_of_the_transformer_written_out():
    """Vaswani et al. (2017), equation 1, with a number for each distance; the rest from torch's own layers."""
    memory = made("transformer", {"width": 6, "heads": 2, "steps": 3})
    (layer,), x = memory.layers, torch.randn(1, 5, F, dtype=torch.float64)
    hidden = memory.embedding(x[0]).detach()  # (5, 6)
    q, k, v = layer.to_qkv(layer.before_attention(hidden)).detach().split(6, dim=1)
    by_distance = layer.by_distance.tolist()
    attended = torch.zeros(5, 6, dtype=torch.float64)
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        for i in range(5):
            near = [j for j in range(5) if 0 <= i - j < 3]
            score = [float(q[i, part] @ k[j, part]) / math.sqrt(3) + by_distance[head][i - j] for j in near]
            total = sum(map(math.exp, score))
            for weight, j in zip(score, near, strict=True):
                attended[i, part] += math.exp(weight) / total * v[j, part]
    hidden = hidden + layer.from_heads(attended)
    expected = memory.norm(hidden + layer.mlp(layer.before_mlp(hidden)))

    out, _ = memory.sequence(x, memory.initial(1), torch.zeros(1, 5, dtype=torch.bool))

    assert torch.allclose(out[0], expected, atol=1e-12)


@every_memory
def test_steps_equal_a_sequence(name, options):
    """`step` L times gives what `sequence` gives at once, starts in the middle included, and the same state."""
    memory, (x, start) = made(name, options), inputs()
    out, after = memory.sequence(x, memory.initial(B), start)
    state = memory.initial(B)
    for t in range(L):
        single, state = memory.step(x[:, t], state, start[:, t])
        assert single.shape == (B, memory.features_dim)
        assert torch.allclose(single, out[:, t], atol=1e-12)
    for found, expected in zip(tree_leaves(state), tree_leaves(after), strict=True):
        assert len(found) == B
        assert torch.allclose(found.double(), expected.double(), atol=1e-12)


@every_memory
def test_steps_equal_a_sequence_but_for_rounding(name, options):
    """In single precision another kernel may take single steps than sequences."""
    memory, (x, start) = memory_of(name, F, options), inputs()
    out, _ = memory.sequence(x.float(), memory.initial(B), start)
    state = memory.initial(B)
    for t in range(L):
        single, state = memory.step(x[:, t].float(), state, start[:, t])
        assert torch.allclose(single, out[:, t], atol=1e-5)


@every_memory
def test_a_sequence_can_be_cut_anywhere(name, options):
    """The state of the first part is all that the second one needs: what burn-in relies on."""
    memory, (x, start) = made(name, options), inputs()
    out, _ = memory.sequence(x, memory.initial(B), start)
    for cut in (1, 5, L - 1):
        first, state = memory.sequence(x[:, :cut], memory.initial(B), start[:, :cut])
        second, _ = memory.sequence(x[:, cut:], state, start[:, cut:])
        assert torch.allclose(torch.cat([first, second], 1), out, atol=1e-12)


@every_memory
def test_a_start_forgets_what_was_before(name, options):
    """From a start on, outputs are those of a new episode, and no gradient reaches what was before."""
    memory, (x, start) = made(name, options), inputs()
    x.requires_grad_()
    out, _ = memory.sequence(x, memory.initial(B), start)
    fresh, _ = memory.sequence(x[1:2, 5:], memory.initial(1), torch.zeros(1, L - 5, dtype=torch.bool))
    assert torch.allclose(out[1:2, 5:], fresh, atol=1e-12)

    out[1, 5:].square().sum().backward()
    assert not x.grad[1, :5].any()
    assert x.grad[1, 5:].any(1).all()
    assert not x.grad[[0, 2, 3, 4]].any()  # nor another member of the batch


@every_memory
def test_memories_remember(name, options):
    """Without a start the step before matters, unless the window holds one step only."""
    memory, (x, _) = made(name, options), inputs()
    x.requires_grad_()
    out, _ = memory.sequence(x, memory.initial(B), torch.zeros(B, L, dtype=torch.bool))
    out[:, 6].square().sum().backward()
    assert x.grad[:, 5].any() == (options.get("steps") != 1)
    assert not x.grad[:, 7:].any()


@pytest.mark.parametrize(("steps", "layers", "reach"), [(4, 1, 4), (1, 1, 1), (7, 2, 7), (8, 3, 7)])
def test_the_transformer_sees_the_last_steps_and_no_others(steps, layers, reach):
    """An output depends on each of the last `reach` observations, and on none older, whatever the number of layers."""
    memory = made("transformer", {"width": 6, "heads": 2, "steps": steps, "layers": layers})
    x = torch.randn(1, L, F, dtype=torch.float64, requires_grad=True)
    out, _ = memory.sequence(x, memory.initial(1), torch.zeros(1, L, dtype=torch.bool))
    out[0, L - 1].square().sum().backward()
    assert x.grad[0].any(1).tolist() == [L - t <= reach for t in range(L)]


@every_memory
def test_everything_learns(name, options):
    """Each weight gets a gradient."""
    memory, (x, start) = made(name, options), inputs()
    memory.sequence(x, memory.initial(B), start)[0].square().sum().backward()
    still = [part for part, weight in memory.named_parameters() if weight.grad is None or not weight.grad.any()]
    if options.get("steps") == 1:  # one number for the only distance there is, which a softmax of one ignores
        assert still == ["layers.0.by_distance"]
    else:
        assert not still


@every_memory
def test_every_tensor_is_on_the_device_of_the_memory(name, options):
    memory = memory_of(name, F, options).to("meta")
    x, start = torch.empty(B, L, F, device="meta"), torch.empty(B, L, dtype=torch.bool, device="meta")
    with OnlyOnMeta():
        state = memory.initial(B)
        out, state = memory.sequence(x, state, start)
        memory.step(x[:, 0], state, start[:, 0])
    assert out.shape == (B, L, memory.features_dim)


@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_learns_to_recall(name):
    """A number shown at the first of six steps is asked for at the last: 300 steps of Adam halve the error of guessing
    several times over."""
    memory = memory_of(name, 2, {"width": 16})
    readout = nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*memory.parameters(), *readout.parameters()], 1e-2)
    for _ in range(300):
        cue = torch.randint(0, 2, (32,)).float() * 2 - 1
        x = torch.zeros(32, 6, 2)
        x[:, 0, 0], x[:, 0, 1] = cue, 1
        out, _ = memory.sequence(x, memory.initial(32), torch.zeros(32, 6, dtype=torch.bool))
        loss = (readout(out[:, -1])[:, 0] - cue).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_the_choice_of_a_memory():
    own = GRU(3, 4)
    assert memory_of(own, 3) is own
    assert isinstance(memory_of("lstm", 3, {"width": 7}), LSTM)
    assert memory_of("lstm", 3, {"width": 7}).features_dim == 7
    assert isinstance(memory_of("transformer", 3), Transformer)
    assert issubclass(SRU, Memory)
    with pytest.raises(UnknownNameError, match="gru"):
        memory_of("elephant", 3)
    with pytest.raises(ArgumentError, match="no options"):
        memory_of(own, 3, {"width": 3})
    with pytest.raises(ArgumentError, match="depth"):
        memory_of("gru", 3, {"depth": 3})
    for name, options in (("gru", {"width": 0}), ("transformer", {"steps": 0}), ("transformer", {"layers": True})):
        with pytest.raises(ArgumentError, match="at least 1"):
            memory_of(name, 3, options)
    with pytest.raises(ArgumentError, match="multiple of 5"):
        memory_of("transformer", 3, {"width": 64, "heads": 5})
