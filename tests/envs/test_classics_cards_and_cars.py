"""Blackjack and Jack's car rental: every number worked out a second time, by plain loops or by playing."""

from functools import cache
from math import exp, factorial

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import chisquare

import rltk
from rltk.envs.classics.blackjack import DRAWN, HIT, LOST, NATURAL, STICK, WON, label_of, state_of


def model(name, **options):
    return gym.make(f"rltk/{name}-v0", **options).unwrapped.mdp()


def row_of(mdp, state, action):
    """{next state: (probability, reward)} of one state and action."""
    row = slice(*mdp.row_start[state * mdp.n_actions + action : state * mdp.n_actions + action + 2])
    pairs = zip(mdp.probability[row].tolist(), mdp.reward[row].tolist(), strict=True)
    return dict(zip(mdp.next_state[row].tolist(), pairs, strict=True))


# Blackjack


@pytest.fixture(scope="module")
def blackjack():
    return model("Blackjack")


@pytest.fixture(scope="module")
def key(blackjack):
    return rltk.solve(blackjack, gamma=1.0, tolerance=1e-9)


def test_labels_are_gymnasiums_observations(blackjack):
    assert [state_of(*blackjack.label(s)) for s in range(NATURAL)] == list(range(200))
    assert blackjack.label(state_of(13, 10, True)) == (13, 10, True)
    assert [label_of(NATURAL), label_of(NATURAL + 9), label_of(WON)] == [("natural", 1), ("natural", 10), "won"]


def test_the_optimal_policy_is_the_books(key):
    """Sutton and Barto (2018), Figure 5.2. Without a usable ace: stick from 12 on against 4 to 6, from 13 on against 2
    and 3, from 17 on against 7 to ace. With one: stick from 18 on, against 9, 10 and (the notch on the left, which
    Thorp's basic strategy has not) the ace from 19 on."""
    from_sum = {False: [17, 13, 13, 12, 12, 12, 17, 17, 17, 17], True: [19, 18, 18, 18, 18, 18, 18, 18, 19, 19]}
    for usable, lowest in from_sum.items():
        for dealer in range(1, 11):
            for player in range(12, 22):
                expected = STICK if player >= lowest[dealer - 1] else HIT
                assert key.policy[state_of(player, dealer, usable)] == expected, (player, dealer, usable)
    assert (key.policy[NATURAL : NATURAL + 10] == STICK).all()


CHANCES = [(card, (4 if card == 10 else 1) / 13) for card in range(1, 11)]


def total(cards):
    """(sum, usable ace) of a tuple of cards."""
    low = sum(cards)
    return (low + 10, True) if 1 in cards and low + 10 <= 21 else (low, False)


@cache
def dealers_results(cards):
    """{final sum, bust as 0: probability} of a dealer with these cards (sorted), card by card."""
    points = total(cards)[0]
    if points >= 17:
        return {points if points <= 21 else 0: 1.0}
    results = {}
    for card, p in CHANCES:
        for end, q in dealers_results(tuple(sorted((*cards, card)))).items():
            results[end] = results.get(end, 0.0) + p * q
    return results


@cache
def worth(cards, shown):
    """The best expected pay of a player with these cards (sorted): no states, only hands."""
    points = total(cards)[0]
    if points > 21:
        return -1.0
    hit = sum(p * worth(tuple(sorted((*cards, card))), shown) for card, p in CHANCES)
    stick = 0.0
    for hidden, p in CHANCES:
        if cards == (1, 10):
            stick += p * (0.0 if {hidden, shown} == {1, 10} else 1.0)
        else:
            ends = dealers_results(tuple(sorted((hidden, shown))))
            stick += p * sum(q * float(np.sign(points - end)) for end, q in ends.items())
    return max(hit, stick)


def test_the_game_is_worth_minus_four_per_cent(blackjack, key):
    """By recursion over the cards themselves: every hand against every card of the dealer's."""
    game = sum(p * q * r * worth(tuple(sorted((a, b))), d) for a, p in CHANCES for b, q in CHANCES for d, r in CHANCES)
    assert blackjack.over_start(key.value) == pytest.approx(game, abs=1e-9)
    assert round(game, 3) == -0.043
    assert key.value[state_of(13, 2, True)] == pytest.approx(worth((1, 2), 2), abs=1e-8)
    assert key.value[state_of(16, 10, False)] == pytest.approx(worth((6, 10), 10), abs=1e-8)


def test_a_policy_is_worth_what_example_5_4_says(blackjack):
    """Sutton and Barto (2018), Example 5.4: dealer shows a deuce, the player has an ace and a deuce; sticking only on
    20 and 21 is worth -0.27726 (found there with 100 million episodes)."""
    stick_on_20 = np.array([STICK if label_of(s)[0] in (20, 21, "natural") else HIT for s in range(213)])
    value = blackjack.chain(stick_on_20).value(1.0)
    assert value[state_of(13, 2, True)] == pytest.approx(-0.27726, abs=5e-4)


def played(seed, count):
    """What Gymnasium's Blackjack does: the states first asked in, and {(state, action): the states that followed}."""
    env = gym.make("Blackjack-v1", sab=True).unwrapped
    random = np.random.default_rng(seed)
    starts, followed = [], {}
    env.reset(seed=seed)
    for _ in range(count):
        observation, _ = env.reset()
        natural = observation[0] == 21
        while observation[0] < 12:
            observation, *_ = env.step(HIT)
        state = NATURAL + int(observation[1]) - 1 if natural else state_of(*map(int, observation))
        starts.append(state)
        while state < LOST:
            action = int(random.integers(2))
            observation, reward, terminated, *_ = env.step(action)
            after = (LOST, DRAWN, WON)[int(reward) + 1] if terminated else state_of(*map(int, observation))
            followed.setdefault((state, action), []).append(int(after))
            state = after
    return np.array(starts), followed


def test_t_is_gymnasiums_blackjack(blackjack):
    """20,000 episodes of Gymnasium's Blackjack with sab=True: nothing that T rules out, and everything as often."""
    starts, followed = played(seed=0, count=20_000)
    expected = [(starts, dict(enumerate(blackjack.start)))]
    for (state, action), seen in followed.items():
        row = row_of(blackjack, state, action)
        expected.append((np.array(seen), {after: p for after, (p, _) in row.items()}))
    chances = []
    for seen, probabilities in expected:
        counts = np.bincount(seen, minlength=213)
        mean = np.array([probabilities.get(s, 0.0) for s in range(213)]) * len(seen)
        assert not counts[mean == 0].any()
        often = mean >= 5  # the rest are taken together
        counts, mean = (np.append(x[often], x[~often].sum()) for x in (counts, mean))
        kept = mean > 0.5
        if kept.sum() > 1:
            chances.append(chisquare(counts[kept], mean[kept] * counts[kept].sum() / mean[kept].sum()).pvalue)
    assert len(chances) > 250
    assert min(chances) > 0.001 / len(chances)
    assert chances[0] > 0.001


def test_endings_pay_one_nothing_or_minus_one(blackjack):
    pay = {int(LOST): -1.0, int(DRAWN): 0.0, int(WON): 1.0}
    ends = np.isin(blackjack.next_state, [*pay])
    assert (blackjack.terminated == ends).all()
    before = np.repeat(np.arange(426) // 2, np.diff(blackjack.row_start))
    for reward, state in zip(blackjack.reward[before < LOST], blackjack.next_state[before < LOST], strict=True):
        assert reward == pay.get(int(state), 0.0)
    assert (blackjack.next_state[blackjack.success] == WON).all()


# Jack's car rental


def poisson(mean, n):
    return exp(-mean) * mean**n / factorial(n)


@cache
def park(requests, returns, morning):
    """({evening: probability}, mean number of rentals) of one park, by summing over 60 requests and 60 returns."""
    evenings, rented_on_average = {}, 0.0
    for asked in range(60):
        rented = min(asked, morning)
        p = poisson(requests, asked)
        rented_on_average += p * rented
        for back in range(60):
            evening = min(20, morning - rented + back)
            evenings[evening] = evenings.get(evening, 0.0) + p * poisson(returns, back)
    return evenings, rented_on_average


def by_hand(n1, n2, moved, exercise):
    """(({evening: probability} of either park), mean reward) of moving cars in the evening (n1, n2)."""
    m1, m2 = min(20, n1 - moved), min(20, n2 + moved)
    cost = 2 * abs(moved)
    if exercise:
        cost -= 2 if moved > 0 else 0
        cost += 4 * (m1 > 10) + 4 * (m2 > 10)
    (first, rented1), (second, rented2) = park(3, 3, m1), park(4, 2, m2)
    return (first, second), 10 * (rented1 + rented2) - cost


@pytest.fixture(scope="module", params=[False, True], ids=["book", "exercise 4.7"])
def rental(request):
    return request.param, model("JacksCarRental", exercise_4_7=request.param)


def test_every_row_of_the_car_rental_is_the_rule(rental):
    exercise, mdp = rental
    mean = mdp.expected_reward()
    random = np.random.default_rng(0)
    for s in range(mdp.n_states):
        n1, n2 = mdp.label(s)
        for a in range(11):
            moved = mdp.action_label(a)
            assert mdp.available[s, a] == (-n2 <= moved <= n1)
            if not mdp.available[s, a]:
                continue
            (first, second), reward = by_hand(n1, n2, moved, exercise)
            assert mean[s, a] == pytest.approx(reward, abs=1e-9)
            if random.random() < 0.03:
                row = row_of(mdp, s, a)
                assert len(row) == 441
                for after, (p, _) in row.items():
                    e1, e2 = mdp.label(after)
                    assert p == pytest.approx(first[e1] * second[e2], rel=1e-9, abs=1e-15)


def test_policy_iteration_ends_where_the_figure_ends():
    """Sutton and Barto (2018), Example 4.2 and Figure 4.2: policy iteration from "move none", each step by plain dense
    algebra, takes four improvements; the last policy moves up to five cars, and v is about 420 where both are empty."""
    mdp = model("JacksCarRental")
    T = np.zeros((441, 11, 441))
    R = np.full((441, 11), -np.inf)
    for s in range(441):
        for moved in range(-5, 6):
            n1, n2 = divmod(s, 21)
            if -n2 <= moved <= n1:
                (first, second), R[s, moved + 5] = by_hand(n1, n2, moved, False)
                T[s, moved + 5] = np.outer([first[n] for n in range(21)], [second[n] for n in range(21)]).ravel()
    policy, improvements = np.full(441, 5), 0
    while True:
        chosen = T[np.arange(441), policy]
        value = np.linalg.solve(np.eye(441) - 0.9 * chosen, R[np.arange(441), policy])
        better = np.argmax(R + 0.9 * T @ value, axis=1)
        if (better == policy).all():
            break
        policy, improvements = better, improvements + 1
    assert improvements == 4
    key = rltk.solve(mdp, gamma=0.9, tolerance=1e-8)
    assert key.value == pytest.approx(value, abs=1e-6)
    assert np.array_equal(key.policy, policy)
    moves = policy.reshape(21, 21) - 5
    assert (moves.min(), moves.max()) == (-4, 5)
    assert round(value[0]) == 421
    # The figure's corners: none moved from the empty parks, five out of a full first one into an empty second one.
    assert (moves[0, 0], moves[20, 0], moves[0, 20], moves[20, 20]) == (0, 5, -4, 0)


def test_the_free_ride_and_the_second_park_change_the_policy():
    """Sutton and Barto (2018), Exercise 4.7: a first car moved for nothing pays more often; costs never help."""
    plain, changed = (model("JacksCarRental", exercise_4_7=flag) for flag in (False, True))
    row = 12 * 21 + 8  # twelve cars at the first park, eight at the second
    assert plain.expected_reward()[row, 5] - changed.expected_reward()[row, 5] == pytest.approx(4.0)
    assert changed.expected_reward()[row, 7] - plain.expected_reward()[row, 7] == pytest.approx(2.0)
    ones = [np.count_nonzero(rltk.solve(mdp, gamma=0.9).policy == 6) for mdp in (plain, changed)]
    assert ones[1] > ones[0]
