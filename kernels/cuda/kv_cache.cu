// Writing new keys and values into a cache: turned, quantized and stored in one pass.
#include "numbers.cuh"

constexpr int MOST = 256, PER_LANE = MOST / 32;  // numbers of a vector, and of a lane of its warp

// One vector, of which a lane has the numbers lane, lane + 32, ..., to its place in the cache.
template <class Cache>
__device__ __forceinline__ void put(const float (&numbers)[PER_LANE], int width, Cache *place,
                                    float *) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < PER_LANE; i++)
    if (lane + 32 * i < width) place[lane + 32 * i] = Number<Cache>::narrow(numbers[i]);
}
// As whole numbers of the scale max |x| / 127.
template <>
__device__ __forceinline__ void put(const float (&numbers)[PER_LANE], int width, int8_t *place,
                                    float *scale) {
  const int lane = threadIdx.x % 32;
  // The largest size, as bits: so NaN, which has the largest, is not passed over.
  unsigned largest = 0;
#pragma unroll
  for (int i = 0; i < PER_LANE; i++)
    if (lane + 32 * i < width) largest = max(largest, __float_as_uint(numbers[i]) & 0x7fffffffu);
#pragma unroll
  for (int bit = 16; bit; bit /= 2)
    largest = max(largest, __shfl_xor_sync(WHOLE_WARP, largest, bit));
  const float own_scale = __uint_as_float(largest) / 127.f;
  const float divisor = own_scale == 0.f ? infinity() : own_scale;
#pragma unroll
  for (int i = 0; i < PER_LANE; i++) {
    if (lane + 32 * i >= width) break;
    // Where numbers are so small that the scale is rounded, the quotient may be above 127.
    const float quotient = fminf(fmaxf(numbers[i] / divisor, -127.f), 127.f);
    place[lane + 32 * i] = int8_t(rintf(quotient));
  }
  if (lane == 0) *scale = own_scale;
}

// key, value: [tokens, heads, width]. A warp takes a key, or the value behind it.
// cos, sin: [tokens, half], or null. See the reference for the other arrays.
template <class T, class Cache>
__global__ void append_kv(const T *__restrict__ key, const T *__restrict__ value,
                          const long long *__restrict__ slots, const float *__restrict__ cos,
                          const float *__restrict__ sin, Cache *__restrict__ keys,
                          Cache *__restrict__ values, float *__restrict__ key_scales,
                          float *__restrict__ value_scales, long long tokens, int heads, int width,
                          int half, int block_bits, bool interleaved) {
  const int warps = blockDim.x / 32, lane = threadIdx.x % 32;
  const long long vector = (long long)blockIdx.x * warps + threadIdx.x / 32;
  const bool is_key = vector % 2 == 0;
  const long long source = vector / 2, token = source / heads, head = source % heads;
  if (token >= tokens || slots[token] < 0) return;
  const long long block = slots[token] >> block_bits;
  const long long offset = slots[token] & ((1 << block_bits) - 1);
  const long long row = ((block * heads + head) << block_bits) + offset;
  const T *from = (is_key ? key : value) + source * width;
  const int turned = is_key && cos ? 2 * half : 0;
  float numbers[PER_LANE];
#pragma unroll
  for (int i = 0; i < PER_LANE; i++) {
    const int column = lane + 32 * i;
    if (column >= width) break;
    numbers[i] = Number<T>::widen(from[column]);
    if (column >= turned) continue;
    // (a, b) becomes (a cos - b sin, b cos + a sin).
    const bool first = interleaved ? column % 2 == 0 : column < half;
    const int pair = interleaved ? column / 2 : first ? column : column - half;
    const int other = interleaved ? column ^ 1 : first ? column + half : pair;
    const float partner = Number<T>::widen(from[other]) * sin[token * half + pair];
    numbers[i] = numbers[i] * cos[token * half + pair] + (first ? -partner : partner);
  }
  float *scales = is_key ? key_scales : value_scales;
  put(numbers, width, (is_key ? keys : values) + row * width,
      scales ? scales + row : nullptr);
}
