"""Every environment draws what its T says: frequencies against probabilities, by chi-square.

Holm's correction keeps the chance that a right simulator fails, over all rows of an environment, at one in a thousand.
"""

import numpy as np
from contract_envs import every_id, make
from scipy.stats import chisquare


def suspicious_rows(env, mdp, draws, seed):
    """(p-values of the rows with several outcomes) of `env`'s frequencies against `mdp`; asserts that nothing was seen
    that `mdp` says can't happen."""
    env.reset(seed=seed)
    state = env.get_state()
    chances = []
    pairs = np.argwhere(mdp.available)
    if len(pairs) > 4000:  # few rows seen often say more than many seen a few times
        pairs = np.random.default_rng(seed).permutation(pairs)[:600]
        draws = 50
    for s, a in pairs:
        row = slice(*mdp.row_start[s * mdp.n_actions + a : s * mdp.n_actions + a + 2])
        noisy = mdp.reward_noise is not None and mdp.reward_noise[row].any()
        paid = [None] * len(mdp.reward[row]) if noisy else mdp.reward[row]
        known = list(zip(mdp.next_state[row], paid, mdp.terminated[row], strict=True))
        counts = np.zeros(len(known))
        state["state"] = np.array(s)
        # Where one thing alone can happen a draw shows as much in any of the rows, of which there are hundreds.
        for _ in range(draws if len(known) > 1 else max(3, draws // 5)):
            env.set_state(state)
            _, reward, terminated, _, info = env.step(int(a))
            seen = (info["state"], None if noisy else reward, terminated)
            assert seen in known, f"state {s}, action {a} led to {seen}"
            counts[known.index(seen)] += 1
        expected = mdp.probability[row] * draws / mdp.probability[row].sum()
        counts, expected = common(counts, expected)
        if len(expected) > 1:
            chances.append(chisquare(counts, expected).pvalue)
    return np.array(chances)


def common(counts, expected, least=5):
    """Both with neighbours added up until each is expected `least` times: chi-square's tail is wrong for rarer ones."""
    if expected.min() >= least:
        return counts, expected
    ends, total = [], 0.0
    for i, one in enumerate(expected):
        total += one
        if total >= least and expected[i + 1 :].sum() >= least:
            ends.append(i + 1)
            total = 0.0
    starts = [0, *ends]
    return np.add.reduceat(counts, starts), np.add.reduceat(expected, starts)


def rejected(chances, level=0.001):
    """Holm's correction: whether any of these p-values is too small for chance at this level over all of them."""
    ordered = np.sort(chances)
    return bool((ordered <= level / (len(ordered) - np.arange(len(ordered)))).any()) if ordered.size else False


@every_id
def test_the_simulator_draws_from_T(name):
    env = make(name)
    mdp = env.mdp()
    pairs = int(mdp.available.sum())
    chances = suspicious_rows(env, mdp, draws=max(3, min(300, 30_000 // pairs)), seed=1)
    assert not rejected(chances)


def test_a_wrong_T_would_be_found():
    env = make("rltk/RussellNorvig4x3-v0", slip=0.26)
    assert rejected(suspicious_rows(env, make("rltk/RussellNorvig4x3-v0").mdp(), draws=300, seed=1))
