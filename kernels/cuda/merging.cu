// Attention over a set of keys from attention over its parts.
#include "numbers.cuh"

// outs: [parts, rows, width], lses: [parts, rows], out: [rows, width], lse: [rows]. A thread takes
// four columns of a row. Of a part whose weight is 0 the result is not looked at.
// Where whole is true, width is a multiple of 4 and addresses are multiples of 4 elements.
template <class From, class To, bool whole>
__global__ void merge_attention(const From *__restrict__ outs,
                                const typename Number<From>::Wide *__restrict__ lses,
                                To *__restrict__ out, typename Number<From>::Wide *__restrict__ lse,
                                int parts, long long rows, int width) {
  using Wide = typename Number<From>::Wide;
  const int groups = (width + 3) / 4;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < rows * groups;
       i += stride) {
    const long long row = i / groups;
    const int column = int(i % groups) * 4, size = min(4, width - column);
    Wide top = -Wide(infinity());
    for (int part = 0; part < parts; part++) {
      const Wide own = lses[part * rows + row];
      if (own > top) top = own;
    }
    const Wide base = top == -Wide(infinity()) ? Wide(0) : top;
    Wide total = 0, mixed[4] = {};
    for (int part = 0; part < parts; part++) {
      const Wide weight = exp(lses[part * rows + row] - base);
      if (weight == Wide(0)) continue;
      Wide values[4] = {};
      load<From, 4, whole>(outs + (part * rows + row) * width + column, size, values);
      total += weight;
#pragma unroll
      for (int j = 0; j < 4; j++) mixed[j] += weight * values[j];
    }
    if (column == 0) lse[row] = log(total) + base;
    const Wide share = total == Wide(0) ? Wide(0) : Wide(1) / total;
#pragma unroll
    for (int j = 0; j < 4; j++) mixed[j] *= share;
    store<To, 4, whole>(out + row * width + column, size, mixed);
  }
}
