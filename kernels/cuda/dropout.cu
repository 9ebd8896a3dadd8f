// Dropout: Philox4x32-10 gives four elements of a sample their random words.
#include "numbers.cuh"
#include "philox.cuh"

// x, out: [count, width]. A thread takes the four elements of one counter; `threshold` is
// p * 2^32, of which 2^32 itself (p = 1) does not fit a word. Stream, step and offset are in memory
// where the pointer is not null, so that a recorded launch reads them anew.
// Where whole is true, width is a multiple of 4 and both addresses are multiples of 4 elements.
template <class T, bool whole>
__global__ void dropout(const T *__restrict__ x, T *__restrict__ out, long long count,
                        long long width, unsigned long long threshold, double scale, unsigned key0,
                        unsigned key1, unsigned stream, const long long *stream_at, unsigned step,
                        const long long *step_at, unsigned offset, const long long *offset_at) {
  using Wide = typename Number<T>::Wide;
  const long long blocks = (width + 3) / 4;
  const long long stride = (long long)gridDim.x * blockDim.x;
  if (stream_at) stream = (unsigned)*stream_at;
  if (step_at) step = (unsigned)*step_at;
  if (offset_at) offset = (unsigned)*offset_at;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count * blocks;
       i += stride) {
    const long long sample = i / blocks, block = i % blocks, first = sample * width + 4 * block;
    const Words words =
        philox((unsigned)block, offset + (unsigned)sample, step, stream, key0, key1);
    const int size = whole ? 4 : (int)min(4ll, width - 4 * block);
    Wide values[4] = {};
    load<T, 4, whole>(x + first, size, values);
#pragma unroll
    for (int lane = 0; lane < 4; lane++)
      values[lane] *= words.word[lane] >= threshold ? Wide(scale) : Wide(0);
    store<T, 4, whole>(out + first, size, values);
  }
}
