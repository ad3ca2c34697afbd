"""A heap of states with the largest priority on top, in which priorities can be raised: plain arrays for kernels.

heap: (S,) int32, states; the first `size` entries are in it, none above its parent (i - 1) // 2. place: (S,) int32, a
state's position in the heap, -1 where it is not in it. priority: (S,) float64.

Source: Cormen, Leiserson, Rivest and Stein (2009), Introduction to Algorithms, section 6.5.
"""

from rltk.mdp import jit


@jit
def rise(heap, place, priority, size, s):
    """Put state `s` where its raised priority belongs, entering it where it is not in; returns the new size."""
    i = place[s]
    if i < 0:
        i = size
        size += 1
    while i > 0:
        parent = (i - 1) // 2
        if priority[heap[parent]] >= priority[s]:
            break
        heap[i] = heap[parent]
        place[heap[i]] = i
        i = parent
    heap[i] = s
    place[s] = i
    return size


@jit
def take_top(heap, place, priority, size):
    """Take the top out of a heap of `size` states, which is then one smaller, and return it."""
    top = heap[0]
    place[top] = -1
    size -= 1
    if size > 0:
        last, i = heap[size], 0
        while 2 * i + 1 < size:
            child = 2 * i + 1
            if child + 1 < size and priority[heap[child + 1]] > priority[heap[child]]:
                child += 1
            if priority[heap[child]] <= priority[last]:
                break
            heap[i] = heap[child]
            place[heap[i]] = i
            i = child
        heap[i] = last
        place[last] = i
    return top
