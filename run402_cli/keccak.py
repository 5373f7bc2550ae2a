"""keccak-256, as Ethereum uses it: SHA-3's permutation with the padding from before the standard, which hashlib lacks.

In Python: pycryptodome, the one kept-up library that has it with wheels for all our platforms, takes several bare starts
of Python to import (through cffi's parser), and this a tenth of one for the few blocks of a signed request. What is hashed
here is public: messages, addresses.
A test compares the permutation with hashlib's SHA-3. See docs/protocol/authentication.md.
"""

from __future__ import annotations

_LANES, _RATE = 25, 136  # 64-bit lanes of the state; bytes of input per permutation
_MASK = (1 << 64) - 1


def keccak256(data: bytes) -> bytes:
    """The 32-byte keccak-256 digest."""
    return sponge(data, 0x01)


def sponge(data: bytes, padding: int) -> bytes:
    """256 bits of Keccak[512] over `data`; `padding` 0x01 is keccak-256, 0x06 is SHA3-256."""
    blocks = bytearray(data)
    blocks += bytes(_RATE - len(data) % _RATE)
    blocks[len(data)] ^= padding
    blocks[-1] ^= 0x80
    state = [0] * _LANES
    for start in range(0, len(blocks), _RATE):
        for lane in range(_RATE // 8):
            offset = start + 8 * lane
            state[lane] ^= int.from_bytes(blocks[offset : offset + 8], "little")
        state = _permuted(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def _permuted(a: list[int]) -> list[int]:
    """Keccak-f[1600]: per round theta, rho and pi, chi, iota (FIPS 202, section 3.2); lane (x, y) is a[x + 5 * y]."""
    for constant in _ROUND_CONSTANTS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ (c[x - 4] << 1 & _MASK | c[x - 4] >> 63) for x in range(5)]
        b = [((v := a[lane] ^ d[x]) << left | v >> right) & _MASK for lane, x, left, right in _MOVES]
        a = [b[x] ^ ~b[y] & b[z] for x, y, z in _ROWS]
        a[0] ^= constant
    return a


def _round_constants() -> list[int]:
    """One per round, from the linear feedback shift register of FIPS 202, algorithm 5."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << (1 << bit) - 1
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


def _moves() -> list[tuple[int, int, int, int]]:
    """Rho and pi: for each lane of the result the lane that it comes from, its column, and its turns left and right."""
    moves = {0: (0, 0, 0, 64)}
    x, y = 1, 0
    for step in range(1, _LANES):
        left = step * (step + 1) // 2 % 64
        source, column = x + 5 * y, x
        x, y = y, (2 * x + 3 * y) % 5
        moves[x + 5 * y] = (source, column, left, 64 - left)
    return [moves[lane] for lane in range(_LANES)]


_ROUND_CONSTANTS = _round_constants()
_MOVES = _moves()
_ROWS = [(5 * y + x, 5 * y + (x + 1) % 5, 5 * y + (x + 2) % 5) for y in range(5) for x in range(5)]
