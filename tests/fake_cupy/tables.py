"""What CuPy 14 has, as data: its functions, the methods of its arrays, and the arguments they take.

A line is a signature as CuPy has it, less the arguments that NumPy lacks. An argument has a mark
of what it accepts; one without a mark takes host values alone (axes, shapes, options):

    A   an array                        S   a sequence of arrays
    V   an array or a scalar            I   an array, a scalar, or a host array or list (indices)

tests/test_fake_cupy.py compares the tables with CuPy itself where CuPy is installed, which needs no
GPU. A name that is in no table does not exist.
"""

UFUNCS = """
    abs absolute acos acosh add arccos arcsin arctan arctan2 asin atan atan2 bitwise_and
    bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor cbrt ceil conj conjugate copysign cos cosh deg2rad degrees divide divmod equal
    exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod frexp gcd greater
    greater_equal heaviside hypot invert isfinite isinf isnan ldexp left_shift less less_equal
    log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor
    matmul maximum minimum mod modf multiply negative nextafter not_equal positive pow power
    rad2deg radians reciprocal remainder right_shift rint sign signbit sin sinh sqrt square
    subtract tan tanh true_divide trunc
""".split()  # noqa: SIM905

# What atomics exist for; CuPy's ufunc.at raises for every other ufunc and dtype.
ATOMIC_UFUNCS = {
    "add",
    "subtract",
    "maximum",
    "minimum",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
}
ATOMIC_DTYPES = {"int32", "uint32", "uint64", "float16", "float32", "float64"}

FUNCTIONS = """
    all(a: A, axis=None, out=None, keepdims=False)
    allclose(a: V, b: V, rtol=1e-05, atol=1e-08, equal_nan=False)
    amax(a: A, axis=None, out=None, keepdims=False)
    amin(a: A, axis=None, out=None, keepdims=False)
    any(a: A, axis=None, out=None, keepdims=False)
    arange(start, stop=None, step=1, dtype=None)
    argmax(a: A, axis=None, *, out=None, keepdims=False)
    argmin(a: A, axis=None, *, out=None, keepdims=False)
    argpartition(a: A, kth, axis=-1)
    argsort(a: A, axis=-1, kind=None)
    argwhere(a: A)
    array_equal(a1: V, a2: V, equal_nan=False)
    array_split(ary: A, indices_or_sections, axis=0)
    around(a: A, decimals=0, out=None)
    ascontiguousarray(a: A, dtype=None)
    asfortranarray(a: A, dtype=None)
    astype(x: A, dtype, /, *, copy=True)
    atleast_1d(*arys: V)
    atleast_2d(*arys: V)
    average(a: A, axis=None, weights: A=None, returned=False, *, keepdims=False)
    bincount(x: A, weights: A=None, minlength=0)
    broadcast_arrays(*args: A)
    broadcast_shapes(*args)
    broadcast_to(array: A, shape)
    clip(a: A, a_min: V, a_max: V, out=None)
    column_stack(tup: S)
    compress(condition: A, a: A, axis=None, out=None)
    concat(tup: S, /, axis=0, out=None, *, dtype=None, casting='same_kind')
    concatenate(tup: S, /, axis=0, out=None, *, dtype=None, casting='same_kind')
    copy(a: A, order='K')
    copyto(dst: A, src: V, casting='same_kind', where: A=None)
    count_nonzero(a: A, axis=None)
    cumprod(a: A, axis=None, dtype=None, out=None)
    cumsum(a: A, axis=None, dtype=None, out=None)
    diag(v: A, k=0)
    diagonal(a: A, offset=0, axis1=0, axis2=1)
    diff(a: A, n=1, axis=-1)
    digitize(x: A, bins: A, right=False)
    dot(a: A, b: A, out=None)
    expand_dims(a: A, axis)
    eye(N, M=None, k=0, dtype=float, order='C')
    flatnonzero(a: A)
    flip(a: A, axis=None)
    full(shape, fill_value: V, dtype=None, order='C')
    full_like(a: A, fill_value: V, dtype=None, order='K', subok=None, shape=None)
    histogram(x: A, /, bins=10, range=None, density=False, weights: A=None)
    hstack(tup: S, *, dtype=None, casting='same_kind')
    identity(n, dtype=float)
    indices(dimensions, dtype=int)
    inner(a: A, b: A)
    isclose(a: V, b: V, rtol=1e-05, atol=1e-08, equal_nan=False)
    isin(element: A, test_elements: A, assume_unique=False, invert=False)
    isscalar(element: V)
    ix_(*args: A)
    kron(a: A, b: A)
    linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)
    matrix_transpose(x: A, /)
    max(a: A, axis=None, out=None, keepdims=False)
    may_share_memory(a: A, b: A, max_work=None)
    mean(a: A, axis=None, dtype=None, out=None, keepdims=False)
    median(a: A, axis=None, out=None, overwrite_input=False, keepdims=False)
    meshgrid(*xi: A, indexing='xy', sparse=False, copy=True)
    min(a: A, axis=None, out=None, keepdims=False)
    moveaxis(a: A, source, destination)
    nan_to_num(x: V, copy=True, nan=0.0, posinf=None, neginf=None)
    nansum(a: A, axis=None, dtype=None, out=None, keepdims=False)
    ndim(a: V)
    nonzero(a: A)
    ones(shape, dtype=float, order='C')
    ones_like(a: A, dtype=None, order='K', subok=None, shape=None)
    outer(a: A, b: A, out=None)
    pad(array: A, pad_width, mode='constant', **kwargs)
    partition(a: A, kth, axis=-1)
    percentile(a: A, q: V, axis=None, out=None, overwrite_input=False, method='linear',
        keepdims=False)
    permute_dims(a: A, axes=None)
    prod(a: A, axis=None, dtype=None, out=None, keepdims=False)
    quantile(a: A, q: V, axis=None, out=None, overwrite_input=False, method='linear',
        keepdims=False)
    ravel(a: A, order='C')
    repeat(a: A, repeats: I, axis=None)
    reshape(a: A, newshape, /, order='C', *, copy=None)
    result_type(*arrays_and_dtypes: V)
    roll(a: A, shift, axis=None)
    rot90(a: A, k=1, axes=(0, 1))
    round(a: A, decimals=0, out=None)
    searchsorted(a: A, v: A, side='left', sorter: A=None)
    shape(a: V)
    shares_memory(a: A, b: A, max_work=None)
    size(a: A, axis=None)
    sort(a: A, axis=-1, kind=None)
    split(ary: A, indices_or_sections, axis=0)
    squeeze(a: A, axis=None)
    stack(tup: S, /, axis=0, out=None, *, dtype=None, casting='same_kind')
    std(a: A, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
    sum(a: A, axis=None, dtype=None, out=None, keepdims=False)
    swapaxes(a: A, axis1, axis2)
    tensordot(a: A, b: A, axes=2)
    tile(A: A, reps)
    trace(a: A, offset=0, axis1=0, axis2=1, dtype=None, out=None)
    transpose(a: A, axes=None)
    tri(N, M=None, k=0, dtype=float)
    tril(m: A, k=0)
    tril_indices(n, k=0, m=None)
    triu(m: A, k=0)
    triu_indices(n, k=0, m=None)
    unique(ar: A, return_index=False, return_inverse=False, return_counts=False, axis=None,
        *, equal_nan=True)
    unravel_index(indices: A, dims, /, order='C')
    var(a: A, axis=None, dtype=None, out=None, ddof=0, keepdims=False)
    vdot(a: A, b: A)
    vstack(tup: S, *, dtype=None, casting='same_kind')
    where(condition: A, x: V=None, y: V=None)
    zeros(shape, dtype=float, order='C')
    zeros_like(a: A, dtype=None, order='K', subok=None, shape=None)
"""

LINALG = """
    cholesky(a: A)
    det(a: A)
    eigh(a: A, UPLO='L')
    inv(a: A)
    norm(x: A, ord=None, axis=None, keepdims=False)
    qr(a: A, mode='reduced')
    slogdet(a: A)
    solve(a: A, b: A)
    svd(a: A, full_matrices=True, compute_uv=True)
"""

# The first argument, the array itself, is left out.
METHODS = """
    all(axis=None, out=None, keepdims=False)
    any(axis=None, out=None, keepdims=False)
    argmax(axis=None, *, out=None, keepdims=False)
    argmin(axis=None, *, out=None, keepdims=False)
    argpartition(kth, axis=-1)
    argsort(axis=-1, kind=None)
    astype(dtype, order='K', casting='unsafe', subok=True, copy=True)
    clip(min: V=None, max: V=None, out=None)
    conj()
    copy(order='C')
    cumprod(axis=None, dtype=None, out=None)
    cumsum(axis=None, dtype=None, out=None)
    diagonal(offset=0, axis1=0, axis2=1)
    dot(b: A, out=None)
    flatten(order='C')
    item()
    max(axis=None, out=None, keepdims=False)
    mean(axis=None, dtype=None, out=None, keepdims=False)
    min(axis=None, out=None, keepdims=False)
    nonzero()
    prod(axis=None, dtype=None, out=None, keepdims=False)
    ravel(order='C')
    repeat(repeats: I, axis=None)
    reshape(*shape, order='C', copy=None)
    round(decimals=0, out=None)
    searchsorted(v: A, side='left', sorter: A=None)
    sort(axis=-1, kind=None)
    squeeze(axis=None)
    std(axis=None, dtype=None, out=None, ddof=0, keepdims=False)
    sum(axis=None, dtype=None, out=None, keepdims=False)
    swapaxes(axis1, axis2)
    tobytes(order='C')
    tolist()
    trace(offset=0, axis1=0, axis2=1, dtype=None, out=None)
    transpose(*axes)
    var(axis=None, dtype=None, out=None, ddof=0, keepdims=False)
    view(dtype)
"""

# What CuPy borrows from NumPy as it is: nothing here touches an array.
BORROWED = """
    bool bool_ complex64 complex128 dtype e finfo float16 float32 float64 iinfo inexact inf int8
    int16 int32 int64 integer issubdtype floating generic nan newaxis number pi promote_types
    signedinteger uint8 uint16 uint32 uint64 unsignedinteger can_cast isdtype min_scalar_type
    intp
""".split()  # noqa: SIM905

DTYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128", "bfloat16",
}  # fmt: skip
