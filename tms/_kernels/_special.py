"""Exponential, logarithm and the normal distribution, written so that a loop over them becomes vector code.

The mathematical library's own functions are called for one number at a time. These have no branches. NaN goes
through all of them.
"""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tms._kernels._kernel import kernel

_INTEGER = {types.float32: types.int32, types.float64: types.int64}
_FLOAT = {integer: real for real, integer in _INTEGER.items()}

_LARGEST = float(np.finfo(np.float64).max)
_LOG2_E = 1.0 / math.log(2.0)
# ln 2 in two parts: the first has few digits, so that its product with a small whole number is exact.
_LN2_HIGH = ([0.693359375], [6.93147180369123816490e-01])
_LN2_LOW = ([-2.12194440054690583e-4], [1.90821492927058770002e-10])

# 1/k!, enough of them for |x| ≤ ln 2 / 2.
_EXP = ([1.0 / math.factorial(k) for k in range(8)], [1.0 / math.factorial(k) for k in range(14)])
# 2/(2k + 1), from log m = Σ_k 2 s^(2k+1) / (2k + 1) with s = (m − 1)/(m + 1), for 1/√2 ≤ m ≤ √2.
_LOG = ([2.0 / (2 * k + 1) for k in range(5)], [2.0 / (2 * k + 1) for k in range(11)])
# (1/2 + x) exp(x²) erfc(x) as a polynomial in (x − 15/4)/(x + 15/4), x ≥ 0: a Chebyshev series in the
# variable of Shepherd & Laframboise (1981), computed with 40 digits and written out in powers.
_TAIL = (
    [
        0.618756315016,
        -0.0701203291607,
        0.00179274765703,
        0.0411392099917,
        -0.0544026137747,
        0.0461453847957,
        -0.0293427202468,
        0.0142046261821,
        -0.00488504359168,
        0.000837956108991,
        0.000165083728136,
        -0.000112058373372,
        1.10233594528e-5,
    ],
    [
        0.618756315418913764,
        -0.0701202992927726281,
        0.00179270774273951282,
        0.0411383692449975313,
        -0.0544019650712223064,
        0.0461521605821406249,
        -0.0293466992883246692,
        0.0141811386860555694,
        -0.00487328984163263112,
        0.000877813082598532536,
        0.000146857189022479015,
        -0.000145077676230388277,
        0.0000258232648708870806,
        0.0000111937828574559083,
        -5.71902401667344678e-6,
        -4.89631285365176102e-7,
        8.70991079311240796e-7,
        -2.5422326893436511e-8,
        -1.24285631240083714e-7,
        9.39541161185024063e-9,
        1.59896333583340215e-8,
        -9.77567943449280827e-10,
        -1.31155367356673788e-9,
    ],
)


def _polynomial(coefficients: tuple[Sequence[float], Sequence[float]]) -> Callable[..., Any]:
    """A polynomial in one number: the first coefficients for float32, the second for float64."""

    @intrinsic
    def polynomial(typing, x):
        def generate(context, builder, signature, arguments):
            (x,) = arguments
            chosen = coefficients[0] if signature.args[0] == types.float32 else coefficients[1]
            total = ir.Constant(x.type, chosen[-1])
            for coefficient in reversed(chosen[:-1]):
                product = builder.fmul(total, x, flags=("contract",))
                total = builder.fadd(product, ir.Constant(x.type, coefficient), flags=("contract",))
            return total

        return x(x), generate

    return polynomial


_exp_series, _log_series, _tail_series = map(_polynomial, (_EXP, _LOG, _TAIL))
_ln2_high, _ln2_low = _polynomial(_LN2_HIGH), _polynomial(_LN2_LOW)


def _reinterpreted(types_of: dict[types.Type, types.Type]) -> Callable[..., Any]:
    @intrinsic
    def reinterpret(typing, x):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

        return types_of[x](x), generate

    return reinterpret


# The bits of a floating-point number as an integer, and back.
_to_bits, _from_bits = _reinterpreted(_INTEGER), _reinterpreted(_FLOAT)


@intrinsic
def _exponent_bits(typing, x, exponent):
    """The bits of 2**exponent in the type of x."""

    def generate(context, builder, signature, arguments):
        integer = context.get_value_type(signature.return_type)
        digits, bias = (23, 127) if signature.args[0] == types.float32 else (52, 1023)
        return builder.shl(builder.add(builder.sext(arguments[1], integer), integer(bias)), integer(digits))

    return _INTEGER[x](x, types.int32), generate


@intrinsic
def like(typing, value, x):
    """A number in the type of x, which is a number or an array. (A bare 0.5 would be float64 everywhere.)"""
    wanted = x.dtype if isinstance(x, types.Array) else x

    def generate(context, builder, signature, arguments):
        return context.cast(builder, arguments[0], signature.args[0], wanted)

    return wanted(value, x), generate


@kernel
def fill(row, value):
    """Set all entries of a one-dimensional array. (numba's row[:] = value takes far longer to compile.)"""
    number = like(value, row)
    for i in range(len(row)):
        row[i] = number


@kernel
def clear_rows(array, count):
    """Set the first rows of an array to 0."""
    zero = like(0.0, array)
    for i in range(count):
        for j in range(array.shape[1]):
            array[i, j] = zero


@kernel
def exp(x):
    """exp(x) to about one unit in the last place, for x ≤ 0. Very small results are raised to about 1e-38."""
    lowest = like(-87.0, x)
    x = lowest if x < lowest else x
    k = np.rint(x * like(_LOG2_E, x))
    r = (x - k * _ln2_high(x)) - k * _ln2_low(x)
    # 2**k by its bits; where x is no number, any k will do.
    exponent = np.int32(k) if k >= like(-200.0, x) else np.int32(0)
    scale = _from_bits(_exponent_bits(x, exponent))
    return _exp_series(r) * scale


@kernel
def log(u):
    """log(u) to about one unit in the last place, u > 0 and float64 alone: its bits are taken apart."""
    bits = _to_bits(u)
    exponent = (bits >> 52) - 1023
    mantissa = _from_bits((bits & 0xF_FFFF_FFFF_FFFF) | (1023 << 52))
    large = mantissa > 1.4142135623730951
    mantissa = 0.5 * mantissa if large else mantissa
    exponent = exponent + 1 if large else exponent
    s = (mantissa - 1.0) / (mantissa + 1.0)
    k = float(exponent)
    value = k * _ln2_high(u) + (s * _log_series(s * s) + k * _ln2_low(u))
    return value if u <= _LARGEST else u  # infinity and NaN


@kernel
def normal(z):
    """The standard normal distribution at z: distribution function Φ(z) and density φ(z)."""
    one, half = like(1.0, z), like(0.5, z)
    density = exp(-half * z * z)
    x = abs(z) * like(math.sqrt(0.5), z)
    tail = density * _tail_series((x - like(3.75, z)) / (x + like(3.75, z))) / (one + x + x)
    return (one - tail if z > like(0.0, z) else tail), density * like(1.0 / math.sqrt(2.0 * math.pi), z)
