// Keys and values in blocks, as a kernel of decode attention goes through them.
//
// A tile is at most 16 queries that share a head of the cache: the heads of its group, for as many
// new tokens of a sequence as fit. A strip is 16 keys; blocks hold whole strips. The warps of a
// block take turns at the strips of its tile. Each warp copies strips into a ring of its own, some
// strips before it computes with them, so that no warp waits for another until the end.
#pragma once
#include "async_copy.cuh"
#include "numbers.cuh"

constexpr int TILE = 16, STRIP = 16;
constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

// The ring of a warp for heads of up to D numbers. Rows are 16 bytes apart more than they are long,
// so that eight of them begin in different banks of shared memory. Some 70 KB a block: two or three
// blocks run on a multiprocessor of a data centre, and one on that of a smaller GPU.
template <class Cache, int D>
struct Ring {
  static constexpr int ROW = D * sizeof(Cache);
  static constexpr int PITCH = ROW + 16;
  static constexpr int WARPS = ROW <= 256 ? 4 : 1024 / ROW;
  static constexpr int STAGES = ROW <= 128 ? 3 : 2;
  static constexpr bool SCALED = Same<Cache, int8_t>::value;
  static constexpr int VALUES = STRIP * PITCH;  // where a stage has its values, its scales, its end
  static constexpr int SCALES = 2 * VALUES;
  static constexpr int STAGE = SCALES + (SCALED ? 2 * STRIP * sizeof(float) : 0);
  static constexpr int WARP = STAGES * STAGE;
  static constexpr int BYTES = WARPS * WARP;
};

struct Tile {
  int sequence, first, tokens;  // first: the number of its first token among those of all sequences
  int position;                 // of that token, among the keys of its sequence

  __device__ int end() const { return max(position + tokens, 0); }  // of the keys that it sees
};

// The tile of a block. Of sequence s the tiles have numbers from starts[s] / most + s on, which
// leaves enough for each, so that no count of tiles has to be known. False where there is none.
__device__ __forceinline__ bool find_tile(int number, int most, const int *starts,
                                          const int *lengths, int sequences, Tile &tile) {
  int low = 0, high = sequences;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (starts[middle] / most + middle <= number) low = middle;
    else high = middle;
  }
  const int start = starts[low], end = starts[low + 1];
  tile.sequence = low;
  tile.first = start + (number - start / most - low) * most;
  tile.tokens = min(most, end - tile.first);
  tile.position = lengths[low] - (end - tile.first);
  return tile.tokens > 0;
}

// The strips of one split: from `begin` to `end`, without those from `gap` to `resume`, whose keys
// lie between the sinks and the window.
struct Strips {
  int begin, end, gap, resume;

  __device__ int settled(int strip, int step) const {
    if (strip < gap || strip >= resume) return strip;
    return strip + (resume - strip + step - 1) / step * step;
  }
  // The first that a warp takes: those whose number has its remainder, wherever a split begins, so
  // that a query's sums run in the same order in every batch.
  __device__ int first(int warp, int step) const {
    return settled(begin + (warp - begin % step + step) % step, step);
  }
};

// A split of fixed size holds the same keys whatever the batch. Else the keys that are seen are cut
// into equal parts of at least 256 keys; the first part has the sinks.
__device__ __forceinline__ Strips find_strips(const Tile &tile, int window, int sinks, int fixed,
                                              int split, int splits) {
  constexpr int LEAST = 256 / STRIP;
  Strips strips;
  const int end = (tile.end() + STRIP - 1) / STRIP;
  strips.resume = min(max(tile.position - window + 1, 0) / STRIP, end);
  strips.gap = min((min(sinks, tile.end()) + STRIP - 1) / STRIP, strips.resume);
  if (fixed) {
    strips.begin = min(split * fixed, end);
    strips.end = min(strips.begin + fixed, end);
  } else {
    const int part = max((end - strips.resume + splits - 1) / splits, LEAST);
    strips.begin = split ? min(strips.resume + split * part, end) : 0;
    strips.end = min(strips.resume + (split + 1) * part, end);
  }
  return strips;
}

// The cache of one head, and which of its keys some query of the tile sees.
template <class Cache>
struct Head {
  const Cache *keys, *values;
  const float *key_scales, *value_scales;
  const int *table;
  int head, heads, head_dim, block_bits;
  int end, first, sinks;

  __device__ int block_of(int strip) const { return table[strip * STRIP >> block_bits]; }

  // Starts the copies of a strip. Keys that nobody sees are not read, but zeros in their place: a
  // value of infinity or NaN would spoil the sum even with a weight of 0.
  template <int D>
  __device__ __forceinline__ void copy(unsigned char *stage, int strip, int block) const {
    using Shape = Ring<Cache, D>;
    constexpr int CHUNKS = Shape::ROW / 16;  // of 16 bytes
    constexpr int NUMBERS = 16 / sizeof(Cache);
    const int lane = threadIdx.x % 32, within = strip * STRIP & ((1 << block_bits) - 1);
    const size_t row = ((size_t(block) * heads + head) << block_bits) + within;
#pragma unroll
    for (int i = lane; i < STRIP * CHUNKS; i += 32) {
      const int token = i / CHUNKS, chunk = i % CHUNKS, key = strip * STRIP + token;
      if (chunk * NUMBERS >= head_dim) continue;
      const bool unseen = key >= end || (key < first && key >= sinks);
      const size_t from = (row + token) * head_dim + chunk * NUMBERS;
      unsigned char *target = stage + token * Shape::PITCH + chunk * 16;
      copy_async_16(target, keys + from, unseen);
      copy_async_16(target + Shape::VALUES, values + from, unseen);
    }
    if (Shape::SCALED && lane < 8) {
      const float *scales = lane < 4 ? key_scales : value_scales;
      copy_async_16(stage + Shape::SCALES + lane * 16, scales + row + lane % 4 * 4, false);
    }
  }
};

// The ring's columns behind head_dim stay 0.
template <class Cache, int D>
__device__ __forceinline__ void clear_ring(unsigned char *ring) {
  for (int i = threadIdx.x % 32 * 16; i < Ring<Cache, D>::WARP; i += 32 * 16)
    *reinterpret_cast<uint4 *>(ring + i) = make_uint4(0, 0, 0, 0);
  __syncwarp();
}

// A warp's way through its strips: work(stage, strip) for each, copied before.
template <int D, class Cache, class Work>
__device__ __forceinline__ void for_each_strip(const Head<Cache> &head, const Strips &strips,
                                               unsigned char *ring, Work work) {
  using Shape = Ring<Cache, D>;
  constexpr int WARPS = Shape::WARPS, STAGES = Shape::STAGES;
  int strip = strips.first(threadIdx.x / 32, WARPS), ahead = strip;
  // Where the next strip lies is read one turn before it is needed.
  int block = ahead < strips.end ? head.block_of(ahead) : 0;
  auto copy_next = [&](int stage) {
    if (ahead < strips.end) {
      head.template copy<D>(ring + stage * Shape::STAGE, ahead, block);
      ahead = strips.settled(ahead + WARPS, WARPS);
      if (ahead < strips.end) block = head.block_of(ahead);
    }
    close_copies();
  };
  for (int stage = 0; stage < STAGES - 1; stage++) copy_next(stage);
  for (int stage = 0; strip < strips.end; stage = stage + 1 == STAGES ? 0 : stage + 1) {
    wait_for_copies<STAGES - 2>();
    __syncwarp();  // all lanes have copied this stage, and are done with the one before it
    copy_next(stage ? stage - 1 : STAGES - 1);
    work(ring + stage * Shape::STAGE, strip);
    strip = strips.settled(strip + WARPS, WARPS);
  }
  wait_for_copies<0>();
}

// Where a tile's results go: of token t and head h, place (t heads + h) of `out`; or, of one split
// of several, of `part`, where `out` is null.
template <class T>
struct Results {
  T *out;
  float *part, *lse;
  int heads, head_dim;

  // The results of all warps, put together. Each has, for a row, its highest score (in units of
  // log2), the sum of the powers against it, and the values' sum, [warps][TILE][D + 4] of shared
  // memory.
  template <int D, int WARPS>
  __device__ __forceinline__ void write(const Tile &tile, int head, int group,
                                        const float (*tops)[TILE], const float (*totals)[TILE],
                                        const float *sums) const {
    const int rows = tile.tokens * group;
    for (int i = threadIdx.x; i < rows * (D / 4); i += WARPS * 32) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      if (column >= head_dim) continue;
      float top = -infinity();
#pragma unroll
      for (int warp = 0; warp < WARPS; warp++) top = fmaxf(top, tops[warp][row]);
      const float base = top == -infinity() ? 0.f : top;
      float total = 0.f, mixed[4] = {};
#pragma unroll
      for (int warp = 0; warp < WARPS; warp++) {
        const float weight = exp2_approximate(tops[warp][row] - base);
        const float *sum = sums + (warp * TILE + row) * (D + 4) + column;
        total += weight * totals[warp][row];
#pragma unroll
        for (int j = 0; j < 4; j++) mixed[j] += weight * sum[j];
      }
      const size_t place = size_t(tile.first + row / group) * heads + head * group + row % group;
      if (column == 0) lse[place] = (top + log2f(total)) * LN_2;
      if (total == 0.f) total = 1.f;
#pragma unroll
      for (int j = 0; j < 4; j++) mixed[j] /= total;
      if (out) store<T, 4, true>(out + place * head_dim + column, 4, mixed);
      else store<float, 4, true>(part + place * head_dim + column, 4, mixed);
    }
  }
};
