// Dropout: Philox4x32-10 gives four elements of a sample their random words.
#include "numbers.cuh"

struct Words {
  unsigned word[4];
};

// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011)
__device__ __forceinline__ Words philox(unsigned c0, unsigned c1, unsigned c2, unsigned c3,
                                        unsigned k0, unsigned k1) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    const unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

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
