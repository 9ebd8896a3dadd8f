// Rotary position embedding: each vector is read once, and its pairs of numbers are turned.
#include "numbers.cuh"

// (a, b) becomes (a cos - b sin, b cos + a sin).
template <class Wide>
__device__ __forceinline__ void turn(Wide &a, Wide &b, Wide cos, Wide sin) {
  const Wide turned = a * cos - b * sin;
  b = b * cos + a * sin;
  a = turned;
}

// x, out: [vectors, width], cos, sin: [rows, half]. The vector at [i, j, k] of [.., middle, inner]
// is turned by row i outer_step + j middle_step + k inner_step of the tables.
//
// A thread takes N pairs, which are numbers i and i + half, or 2 i and 2 i + 1 where they are
// interleaved; threads behind those of a vector's pairs copy what is not turned, N numbers each.
// Where aligned is true, half and width are multiples of N, and addresses those of a group.
template <class T, bool interleaved, int N, bool aligned>
__global__ void rope(const T *__restrict__ x,
                     const typename Number<T>::Wide *__restrict__ cos,
                     const typename Number<T>::Wide *__restrict__ sin, T *__restrict__ out,
                     long long vectors, int width, int half, long long middle, long long inner,
                     long long outer_step, long long middle_step, long long inner_step) {
  using Wide = typename Number<T>::Wide;
  const int pairs = (half + N - 1) / N, units = pairs + (width - 2 * half + N - 1) / N;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < vectors * units;
       i += stride) {
    const long long vector = i / units, line = vector / inner;
    const int unit = int(i % units);
    const T *from = x + vector * width;
    T *to = out + vector * width;
    if (unit >= pairs) {
      const int first = 2 * half + (unit - pairs) * N, size = min(N, width - first);
      Wide same[N];
      load<T, N, aligned>(from + first, size, same);
      store<T, N, aligned>(to + first, size, same);
      continue;
    }
    const long long row = line / middle * outer_step + line % middle * middle_step +
                          vector % inner * inner_step;
    const int first = unit * N, size = min(N, half - first);
    Wide c[N], s[N], numbers[2 * N];
    load<Wide, N, aligned>(cos + row * half + first, size, c);
    load<Wide, N, aligned>(sin + row * half + first, size, s);
    if (interleaved) {
      load<T, 2 * N, aligned>(from + 2 * first, 2 * size, numbers);
#pragma unroll
      for (int j = 0; j < N; j++)
        if (j < size) turn(numbers[2 * j], numbers[2 * j + 1], c[j], s[j]);
      store<T, 2 * N, aligned>(to + 2 * first, 2 * size, numbers);
    } else {
      load<T, N, aligned>(from + first, size, numbers);
      load<T, N, aligned>(from + half + first, size, numbers + N);
#pragma unroll
      for (int j = 0; j < N; j++)
        if (j < size) turn(numbers[j], numbers[N + j], c[j], s[j]);
      store<T, N, aligned>(to + first, size, numbers);
      store<T, N, aligned>(to + half + first, size, numbers + N);
    }
  }
}
