"""Eight numbers at once: two vector instructions for compiled code (chapter 14).

numba gives LLVM no leave to assume that two rows do not overlap, so its loops over eight numbers
become eight scalar steps. Here vectors are asked for by name, and LLVM turns them into whatever
the machine has. Both functions trust their arguments: nothing is checked.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8


def _lane_pointer(context, builder, kind, array, row, column):
    """Where the eight numbers from array[row, column] on lie in a C-ordered 2-D array."""
    struct = context.make_array(kind)(context, builder, array)
    width = cgutils.unpack_tuple(builder, struct.shape, 2)[1]
    number = context.get_value_type(kind.dtype)
    place = builder.gep(struct.data, [builder.add(builder.mul(row, width), column)])
    return builder.bitcast(place, ir.VectorType(number, LANES).as_pointer())


@intrinsic
def add_scaled(typing, table, row, other, from_row, weight, column):
    """table[row, c] += weight * other[from_row, c] for the eight c from `column` on."""
    index = types.intp
    signature = types.void(table, index, other, index, table.dtype, index)

    def generate(context, builder, signature, arguments):
        table, row, other, from_row, weight, column = arguments
        kind, number = signature.args[0], context.get_value_type(signature.args[4])
        align = context.get_abi_sizeof(number)
        to = _lane_pointer(context, builder, kind, table, row, column)
        come = _lane_pointer(context, builder, signature.args[2], other, from_row, column)
        weights = ir.Constant(ir.VectorType(number, LANES), ir.Undefined)
        for lane in range(LANES):
            weights = builder.insert_element(weights, weight, cgutils.int32_t(lane))
        product = builder.fmul(weights, builder.load(come, align=align), flags=("contract",))
        total = builder.fadd(builder.load(to, align=align), product, flags=("contract",))
        builder.store(total, to, align=align)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def transpose_block(typing, table, row, column, other, to_row, to_column):
    """other[to_row + j, to_column + i] = table[row + i, column + j] for i, j < 8."""
    index = types.intp
    signature = types.void(table, index, index, other, index, index)

    def generate(context, builder, signature, arguments):
        table, row, column, other, to_row, to_column = arguments
        align = context.get_abi_sizeof(context.get_value_type(signature.args[0].dtype))

        def at(kind, array, row, step, column):
            row = builder.add(row, ir.Constant(row.type, step))
            return _lane_pointer(context, builder, kind, array, row, column)

        source, target = signature.args[0], signature.args[3]
        rows = [builder.load(at(source, table, row, i, column), align=align) for i in range(LANES)]
        # In three rounds rows i and i + 4 are interleaved like two halves of a deck of cards: each
        # moves one bit of the row's number into the column's, and after three all have changed.
        both = [[k, k + LANES] for k in range(LANES)]
        order = [k for pair in both for k in pair]
        masks = [
            ir.Constant(ir.VectorType(ir.IntType(32), LANES), order[half * LANES :][:LANES])
            for half in range(2)
        ]
        for _ in range(3):
            rows = [
                builder.shuffle_vector(rows[i], rows[i + LANES // 2], mask)
                for i in range(LANES // 2)
                for mask in masks
            ]
        for j, values in enumerate(rows):
            builder.store(values, at(target, other, to_row, j, to_column), align=align)
        return context.get_dummy_value()

    return signature, generate
