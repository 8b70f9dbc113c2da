"""A SIMD value type for Numba kernels: ``width`` float32 lanes that behave like one number.

``Lanes`` values exist only inside compiled code. Arithmetic and comparison operators work lane by
lane, scalars are broadcast to all lanes, and LLVM lowers a value to as many
registers as the machine needs (AVX2, AVX-512, NEON). A kernel can thus treat a block of pixels as
if it were one pixel. Multiplications and additions may be contracted to fused ones; nothing else
is reordered, so results are bit-identical between runs on one machine.
Functions: ``spread`` broadcasts a scalar, ``load`` and ``store`` access a flat index of a contiguous float32
array, ``select(mask, a, b)``, ``any_true(mask)``, ``exp2``, ``total`` is the sum over lanes,
``repeated`` and ``folded`` change the number of lanes. For several values at once, see bundles.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

FLAGS = ("contract", "nsz")
F32, I32 = ir.FloatType(), ir.IntType(32)


class LanesType(types.Type):
    """float32 lanes."""

    def __init__(self, width: int):
        self.width = width
        super().__init__(name=f"Lanes({width})")


class MaskType(types.Type):
    """One boolean per lane."""

    def __init__(self, width: int):
        self.width = width
        super().__init__(name=f"LaneMask({width})")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(F32, fe_type.width))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), fe_type.width))


def lanes_type(width, element=F32):
    """LLVM type of ``width`` lanes."""
    return ir.VectorType(element, width)


def constant(width, value, element=F32):
    """LLVM constant with the same value in every lane."""
    return ir.Constant(lanes_type(width, element), [value] * width)


def spread_value(builder, value, width):
    """LLVM vector with the float32 ``value`` in every lane."""
    vector = lanes_type(width)
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
    return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), constant(width, 0, I32))


def as_lanes(context, builder, value, value_type, width):
    """LLVM vector of a lanes or scalar argument."""
    if isinstance(value_type, LanesType):
        return value
    return spread_value(builder, context.cast(builder, value, value_type, types.float32), width)


def _is_operand(value_type):
    return isinstance(value_type, (LanesType, types.Number))


def _common_width(*value_types):
    widths = {t.width for t in value_types if isinstance(t, LanesType)}
    return widths.pop() if len(widths) == 1 and all(map(_is_operand, value_types)) else None


def _lane_operation(emit):
    """An intrinsic for lanes and scalars; ``emit(builder, *vectors)`` returns the LLVM result."""

    def codegen_for(width):
        def codegen(context, builder, signature, args):
            vectors = [
                as_lanes(context, builder, v, t, width) for v, t in zip(args, signature.args, strict=True)
            ]
            return emit(builder, *vectors)

        return codegen

    def two(typingctx, a, b):
        width = _common_width(a, b)
        return (LanesType(width)(a, b), codegen_for(width)) if width else None

    def one(typingctx, a):
        width = _common_width(a)
        return (LanesType(width)(a), codegen_for(width)) if width else None

    count = emit.__code__.co_argcount - 1
    return intrinsic(one if count == 1 else two)


def _operator(symbol, emit, result=LanesType):
    """Define an operator for lanes and scalars; ``emit(builder, a, b)`` returns the LLVM result.

    Typed and emitted in place: an overload would be a function to compile for each pair of types.
    """

    @infer_global(symbol)
    class _OperatorTyping(AbstractTemplate):
        def generic(self, args, kws):
            width = _common_width(*args) if len(args) == 2 else None
            return signature(result(width), *args) if width else None

    def codegen(context, builder, found, args):
        width = _common_width(*found.args)
        vectors = [as_lanes(context, builder, v, t, width) for v, t in zip(args, found.args, strict=True)]
        return emit(builder, *vectors)

    for pair in ((LanesType, LanesType), (LanesType, types.Number), (types.Number, LanesType)):
        lower_builtin(symbol, *pair)(codegen)


def _limit(how):
    def emit(builder, a, b):
        return builder.select(builder.fcmp_ordered(how, a, b), a, b)

    return emit


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=FLAGS))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=FLAGS))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=FLAGS))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b, flags=FLAGS))


def _comparison(symbol, how):
    _operator(symbol, lambda builder, a, b: builder.fcmp_ordered(how, a, b), MaskType)


_comparison(operator.lt, "<")
_comparison(operator.le, "<=")
_comparison(operator.gt, ">")
_comparison(operator.ge, ">=")
_comparison(operator.eq, "==")

smaller, larger = _lane_operation(_limit("<")), _lane_operation(_limit(">"))


def _call(builder, name, vector, *args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * len(args)), f"llvm.{name}.v{vector.count}f32"
    )
    return builder.call(function, args)


magnitude = _lane_operation(lambda builder, a: _call(builder, "fabs", a.type, a))
square_root = _lane_operation(lambda builder, a: _call(builder, "sqrt", a.type, a))
rounded_down = _lane_operation(lambda builder, a: _call(builder, "floor", a.type, a))
rounded_up = _lane_operation(lambda builder, a: _call(builder, "ceil", a.type, a))


def _emit_negative(builder, a):
    bits = builder.bitcast(a, lanes_type(a.type.count, I32))
    return builder.bitcast(builder.or_(bits, constant(a.type.count, -(2**31), I32)), a.type)


negative_magnitude = _lane_operation(_emit_negative)


def _mask_operator(symbol, emit):
    @infer_global(symbol)
    class _MaskOperatorTyping(AbstractTemplate):
        def generic(self, args, kws):
            masks = len(args) == 2 and args[0] == args[1] and isinstance(args[0], MaskType)
            return signature(args[0], *args) if masks else None

    lower_builtin(symbol, MaskType, MaskType)(lambda context, builder, found, args: emit(builder, *args))


_mask_operator(operator.and_, lambda builder, a, b: builder.and_(a, b))
_mask_operator(operator.or_, lambda builder, a, b: builder.or_(a, b))


@intrinsic
def select(typingctx, mask, a, b):
    """``a`` where the mask is true, else ``b``; either may be a scalar."""
    width = mask.width

    def codegen(context, builder, signature, args):
        vectors = [
            as_lanes(context, builder, v, t, width) for v, t in zip(args[1:], signature.args[1:], strict=True)
        ]
        return builder.select(args[0], *vectors)

    return LanesType(width)(mask, a, b), codegen


@intrinsic
def any_true(typingctx, mask):
    """Whether the mask is true in any lane."""

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.width))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), codegen


@intrinsic
def bits_of(typingctx, mask):
    """uint64 with one bit per lane of a mask of up to 64 lanes."""

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.width))
        return bits if mask.width == 64 else builder.zext(bits, ir.IntType(64))

    return types.uint64(mask), codegen


@intrinsic
def trailing_zeros(typingctx, bits):
    """Number of zero bits below the lowest set bit of a non-zero uint64."""

    def codegen(context, builder, signature, args):
        i64, i1 = ir.IntType(64), ir.IntType(1)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(i64, [i64, i1]), "llvm.cttz.i64"
        )
        return builder.call(function, [args[0], i1(1)])

    return types.intp(types.uint64), codegen


@intrinsic
def bytes_of_runs(typingctx, first, last):
    """uint64 whose i-th byte has bits first[i] to last[i] set, none if last < first.

    Both are eight integers (as floats), from 0 to 8 and from -1 to 7.
    """

    def codegen(context, builder, signature, args):
        integer = lanes_type(8, I32)
        first, last = (builder.fptosi(value, integer) for value in args)
        above = builder.shl(constant(8, 2, I32), last)
        below = builder.shl(constant(8, 1, I32), first)
        run = builder.sub(above, below)
        run = builder.select(builder.icmp_signed("<=", first, last), run, constant(8, 0, I32))
        return builder.bitcast(builder.trunc(run, lanes_type(8, ir.IntType(8))), ir.IntType(64))

    return types.uint64(first, last), codegen


@intrinsic
def index(typingctx, value):
    """``value`` as an index, which must not be negative: array accesses then skip the test for it."""

    def codegen(context, builder, signature, args):
        value = context.cast(builder, args[0], signature.args[0], types.intp)
        builder.assume(builder.icmp_signed(">=", value, value.type(0)))
        return value

    return types.intp(value), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Prefetch the cache line at a flat index of a contiguous array; any index is allowed."""

    def codegen(context, builder, signature, args):
        pointer = pointer_at(
            context, builder, signature.args[0], args[0], args[1], signature.args[1], ir.IntType(8)
        )
        kinds = [pointer.type, I32, I32, I32]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0i8"
        )
        builder.call(function, [pointer, I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(array, index), codegen


@intrinsic(prefer_literal=True)
def spread(typingctx, width, value):
    """``value`` in each of ``width`` lanes; ``width`` is a compile-time constant."""
    lanes = width.literal_value

    def codegen(context, builder, signature, args):
        return as_lanes(context, builder, args[1], signature.args[1], lanes)

    return LanesType(lanes)(width, value), codegen


@intrinsic(prefer_literal=True)
def halves(typingctx, width, a, b):
    """``a`` in the first half of ``width`` lanes and ``b`` in the second."""
    lanes = width.literal_value

    def codegen(context, builder, signature, args):
        parts = [
            as_lanes(context, builder, v, t, lanes // 2)
            for v, t in zip(args[1:], signature.args[1:], strict=True)
        ]
        return shuffle(builder, *parts, range(lanes))

    return LanesType(lanes)(width, a, b), codegen


def pointer_at(context, builder, array_type, array, index, index_type, vector):
    """LLVM pointer of ``vector`` type to the element at the flat ``index``."""
    data = context.make_array(array_type)(context, builder, array).data
    index = context.cast(builder, index, index_type, types.intp)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic(prefer_literal=True)
def load(typingctx, width, array, index):
    """``width`` consecutive floats of a contiguous float32 array from the flat ``index``."""
    lanes = width.literal_value

    def codegen(context, builder, signature, args):
        pointer = pointer_at(
            context, builder, signature.args[1], args[1], args[2], signature.args[2], lanes_type(lanes)
        )
        return builder.load(pointer, align=4)

    return LanesType(lanes)(width, array, index), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write the lanes to a contiguous float32 array from the flat ``index``."""

    def codegen(context, builder, signature, args):
        vector = lanes_type(value.width)
        pointer = pointer_at(context, builder, signature.args[0], args[0], args[1], signature.args[1], vector)
        builder.store(args[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


# Minimax polynomial of 2**f on [-1/2, 1/2]: relative error 2.6e-6, below the rounding errors of blending.
_EXP2_COEFFICIENTS = (0.0095701, 0.05591786, 0.24024745, 0.69312181, 0.99999926)


def _emit_exp2(builder, x):
    width = x.type.count
    # Adding 1.5 * 2**23 rounds x to an integer in the low mantissa bits; these
    # two additions have no fast-math flag, since reassociation would undo them.
    magic = constant(width, 1.5 * 2.0**23)
    shifted = builder.fadd(x, magic)
    fraction = builder.fsub(x, builder.fsub(shifted, magic), flags=FLAGS)
    power = constant(width, _EXP2_COEFFICIENTS[0])
    for coefficient in _EXP2_COEFFICIENTS[1:]:
        power = builder.fadd(
            builder.fmul(power, fraction, flags=FLAGS), constant(width, coefficient), flags=FLAGS
        )
    integer = lanes_type(width, I32)
    exponent = builder.shl(builder.bitcast(shifted, integer), constant(width, 23, I32))
    return builder.bitcast(builder.add(builder.bitcast(power, integer), exponent), x.type)


exp2 = _lane_operation(_emit_exp2)
"""2**x for -126 <= x <= 126; outside, the result is meaningless and must be masked."""


def shuffle(builder, a, b, lanes):
    """The lanes with the given indices in the concatenation of ``a`` and ``b``."""
    return builder.shuffle_vector(a, b, ir.Constant(lanes_type(len(lanes), I32), list(lanes)))


def fold(builder, a, width):
    """Add the upper half of the lanes to the lower half until ``width`` lanes remain."""
    while a.type.count > width:
        half = a.type.count // 2
        a = builder.fadd(shuffle(builder, a, a, range(half)), shuffle(builder, a, a, range(half, 2 * half)))
    return a


@intrinsic(prefer_literal=True)
def repeated(typingctx, width, a):
    """Repeat the lanes of ``a`` to ``width`` lanes."""
    lanes = width.literal_value

    def codegen(context, builder, signature, args):
        narrow = signature.args[1].width
        return shuffle(builder, args[1], args[1], [i % narrow for i in range(lanes)])

    return LanesType(lanes)(width, a), codegen


@intrinsic(prefer_literal=True)
def folded(typingctx, width, a):
    """Sum of the consecutive groups of ``width`` lanes of ``a``; ``width`` is a power of two."""
    lanes = width.literal_value

    def codegen(context, builder, signature, args):
        return fold(builder, args[1], lanes)

    return LanesType(lanes)(width, a), codegen


@intrinsic
def total(typingctx, a):
    """Sum over the lanes, as float32."""

    def codegen(context, builder, signature, args):
        return builder.extract_element(fold(builder, args[0], 1), I32(0))

    return types.float32(a), codegen


def _extreme(better):
    """Minimum or maximum over the lanes, as float32; ``better`` is "<" or ">"."""

    @intrinsic
    def extreme(typingctx, a):
        def codegen(context, builder, signature, args):
            value, half = args[0], signature.args[0].width // 2
            while half:
                other = shuffle(builder, value, value, range(half, 2 * half))
                value = shuffle(builder, value, value, range(half))
                value = builder.select(builder.fcmp_ordered(better, value, other), value, other)
                half //= 2
            return builder.extract_element(value, I32(0))

        return types.float32(a), codegen

    return extreme


least, greatest = _extreme("<"), _extreme(">")


def lane_offsets(width: int, columns: int) -> np.ndarray:
    """[2, width] float32 x and y of each lane's pixel centre in a block ``columns`` wide."""
    lane = np.arange(width)
    return np.stack([lane % columns, lane // columns]).astype(np.float32) + np.float32(0.5)
