"""Bundles of several lanes values, such as the channels of a block of pixels, and their sums."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from sfumato.ops.cpu.simd.lanes import (
    F32,
    FLAGS,
    I32,
    LanesType,
    constant,
    fold,
    lanes_type,
    pointer_at,
    shuffle,
    spread_value,
)

# Lane of the sum of the i-th of eight values after the transposing reduction.
TOTALS8_LANE = (0, 4, 2, 6, 1, 5, 3, 7)


class BundleType(types.Type):
    """A fixed number of lanes values, such as the channels of a block of pixels."""

    def __init__(self, count: int, width: int):
        self.count, self.width = count, width
        super().__init__(name=f"Bundle({count}, {width})")


@register_model(BundleType)
class _BundleModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.ArrayType(lanes_type(fe_type.width), fe_type.count))


def _pack(builder, bundle_type, vectors):
    bundle = ir.Constant(ir.ArrayType(lanes_type(bundle_type.width), bundle_type.count), ir.Undefined)
    for i, vector in enumerate(vectors):
        bundle = builder.insert_value(bundle, vector, i)
    return bundle


def _parts(builder, bundle, bundle_type):
    return [builder.extract_value(bundle, i) for i in range(bundle_type.count)]


def _elements(context, builder, array_type, array, index, index_type, count):
    """``count`` floats from the flat index, as LLVM scalars."""
    pointer = pointer_at(context, builder, array_type, array, index, index_type, F32)
    return [builder.load(builder.gep(pointer, [I32(i)])) for i in range(count)]


@intrinsic(prefer_literal=True)
def zeros_like_channels(typingctx, width, channels):
    """A bundle of zeros with as many members as the tuple ``channels``."""
    result = BundleType(len(channels), width.literal_value)

    def codegen(context, builder, signature, args):
        return _pack(builder, result, [constant(result.width, 0.0)] * result.count)

    return result(width, channels), codegen


@intrinsic(prefer_literal=True)
def load_channels(typingctx, width, channels, array, index):
    """Bundle of consecutive groups of ``width`` floats, one group per channel, from the flat index."""
    result = BundleType(len(channels), width.literal_value)

    def codegen(context, builder, signature, args):
        vector = lanes_type(result.width)
        pointer = pointer_at(context, builder, signature.args[2], args[2], args[3], signature.args[3], vector)
        return _pack(
            builder,
            result,
            [builder.load(builder.gep(pointer, [I32(i)]), align=4) for i in range(result.count)],
        )

    return result(width, channels, array, index), codegen


@intrinsic
def store_channels(typingctx, array, index, bundle):
    """Write a bundle as consecutive groups of floats from the flat index."""

    def codegen(context, builder, signature, args):
        vector = lanes_type(bundle.width)
        pointer = pointer_at(context, builder, signature.args[0], args[0], args[1], signature.args[1], vector)
        for i, part in enumerate(_parts(builder, args[2], bundle)):
            builder.store(part, builder.gep(pointer, [I32(i)]), align=4)
        return context.get_dummy_value()

    return types.void(array, index, bundle), codegen


@intrinsic
def add_weighted(typingctx, bundle, weight, array, index):
    """Bundle with ``weight`` * array[index + i] added to member i."""

    def codegen(context, builder, signature, args):
        numbers = _elements(
            context, builder, signature.args[2], args[2], args[3], signature.args[3], bundle.count
        )
        parts = []
        for part, number in zip(_parts(builder, args[0], bundle), numbers, strict=True):
            product = builder.fmul(args[1], spread_value(builder, number, bundle.width), flags=FLAGS)
            parts.append(builder.fadd(part, product, flags=FLAGS))
        return _pack(builder, bundle, parts)

    return bundle(bundle, weight, array, index), codegen


@intrinsic
def dot_row(typingctx, bundle, array, index):
    """Sum over i of member i times array[index + i], as lanes."""

    def codegen(context, builder, signature, args):
        numbers = _elements(
            context, builder, signature.args[1], args[1], args[2], signature.args[2], bundle.count
        )
        result = None
        for part, number in zip(_parts(builder, args[0], bundle), numbers, strict=True):
            product = builder.fmul(part, spread_value(builder, number, bundle.width), flags=FLAGS)
            result = product if result is None else builder.fadd(result, product, flags=FLAGS)
        return result

    return LanesType(bundle.width)(bundle, array, index), codegen


@intrinsic
def scaled(typingctx, bundle, weight):
    """Every member times the lanes ``weight``."""

    def codegen(context, builder, signature, args):
        parts = [builder.fmul(p, args[1], flags=FLAGS) for p in _parts(builder, args[0], bundle)]
        return _pack(builder, bundle, parts)

    return bundle(bundle, weight), codegen


@intrinsic(prefer_literal=True)
def folded_channels(typingctx, width, bundle):
    """Every member folded to ``width`` lanes."""
    result = BundleType(bundle.count, width.literal_value)

    def codegen(context, builder, signature, args):
        parts = [fold(builder, part, result.width) for part in _parts(builder, args[1], bundle)]
        return _pack(builder, result, parts)

    return result(width, bundle), codegen


@intrinsic
def gather6(typingctx, a, b, c, d, e, f):
    """A bundle of six lanes values."""
    result = BundleType(6, a.width)
    return result(a, b, c, d, e, f), lambda context, builder, signature, args: _pack(builder, result, args)


@intrinsic
def gather1(typingctx, a):
    """A bundle of one lanes value."""
    result = BundleType(1, a.width)
    return result(a), lambda context, builder, signature, args: _pack(builder, result, args)


@intrinsic
def gather2(typingctx, a, b):
    """A bundle of two lanes values."""
    result = BundleType(2, a.width)
    return result(a, b), lambda context, builder, signature, args: _pack(builder, result, args)


def _totals8_value(builder, vectors):
    """LLVM 8-lane vector of the lane sums of eight vectors, in the order TOTALS8_LANE."""
    v = [fold(builder, x, 8) for x in vectors]
    for low, high in (
        ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
        ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
        ((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15)),
    ):
        v = [
            builder.fadd(shuffle(builder, x, y, low), shuffle(builder, x, y, high))
            for x, y in zip(v[0::2], v[1::2], strict=True)
        ]
    return v[0]


@intrinsic
def accumulate_totals(typingctx, array, index, bundle):
    """Add the lane sums of the members to array[index + totals_position(i, count)].

    Eight sums are computed by one transposing reduction at a third of the cost of eight separate
    ones; their order is TOTALS8_LANE. A remainder of one or two is summed separately.
    """

    def codegen(context, builder, signature, args):
        parts = _parts(builder, args[2], bundle)
        base = pointer_at(context, builder, signature.args[0], args[0], args[1], signature.args[1], F32)
        for first in range(0, len(parts), 8):
            group = parts[first : first + 8]
            if len(group) > 2:
                group += [constant(bundle.width, 0.0)] * (8 - len(group))
                target = builder.bitcast(builder.gep(base, [I32(first)]), lanes_type(8).as_pointer())
                sums = _totals8_value(builder, group)
                builder.store(builder.fadd(builder.load(target, align=4), sums), target, align=4)
                continue
            for i, part in enumerate(group):
                target = builder.gep(base, [I32(first + i)])
                sum_ = builder.extract_element(fold(builder, part, 1), I32(0))
                builder.store(builder.fadd(builder.load(target), sum_), target)
        return context.get_dummy_value()

    return types.void(array, index, bundle), codegen


@intrinsic
def join(typingctx, a, b):
    """The members of ``a`` followed by those of ``b``."""
    result = BundleType(a.count + b.count, a.width)

    def codegen(context, builder, signature, args):
        return _pack(builder, result, _parts(builder, args[0], a) + _parts(builder, args[1], b))

    return result(a, b), codegen


def totals_position(i: int, count: int) -> int:
    """Position at which accumulate_totals adds the sum of member ``i`` of ``count``."""
    first = i - i % 8
    return first + TOTALS8_LANE[i % 8] if min(8, count - first) > 2 else i
