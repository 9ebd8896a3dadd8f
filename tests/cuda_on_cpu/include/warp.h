// Exchange between the lanes of a warp: shuffles, votes, and the means to write a CPU twin of an
// instruction that a whole warp executes together, such as a product of matrices.
//
// Such a twin is a function that calls `exchange`: each lane shows a value, all lanes of the mask
// meet, then each reads what the others showed.
//
//   // The sum over the warp, in the order of its lanes.
//   inline float warp_sum(float x, const char *site) {
//     return cuda_on_cpu::exchange(0xffffffffu, x, site, [](auto shown) {
//       float sum = 0.f;
//       for (int lane = 0; lane < 32; lane++) sum += shown(lane);
//       return sum;
//     });
//   }
//   #define WARP_SUM(x) warp_sum(x, CUDA_ON_CPU_SITE)
//
// `site` is the place in the source; lanes that meet at different ones are an error. A lane that
// waits elsewhere, has ended, or is not in the mask is an error too.
#pragma once
#include <type_traits>

#include "threads.h"

// Lanes read each other's slots while these wait, which ThreadSanitizer must not call a race.
#define UNSEEN_BY_TSAN __attribute__((no_sanitize("thread"), noinline))

namespace cuda_on_cpu {

static inline int lane() { return current->lane; }

template <class T>
UNSEEN_BY_TSAN static T read_slot(int lane, int slot) {
  Fiber &other = fibers[current->warp * WARP + (lane & 31)];
  if (!(current->mask >> (lane & 31) & 1))
    fail("at %s lane %d is read, which is not in the mask %08x, or has ended", current->site, lane,
         current->mask);
  T value;
  memcpy(&value, other.slots[slot], sizeof(T));
  return value;
}

template <class T>
UNSEEN_BY_TSAN static void write_slot(const T &value, int slot) {
  memcpy(current->slots[slot], &value, sizeof(T));
}

// Shows `value`, meets the lanes of `mask`, and returns read(shown), where shown(lane) is what a
// lane of the mask showed. Where the whole warp takes part two slots alternate, so that a lane may
// run ahead to the next exchange; else a second meeting follows.
template <class T, class Read>
static auto exchange(uint32_t mask, const T &value, const char *site, Read read,
                     int operation = COLLECTIVE) {
  static_assert(sizeof(T) <= SLOT_BYTES && std::is_trivially_copyable<T>::value);
  const uint32_t everyone = lanes_of_warp[current->warp];
  const bool whole = (mask & everyone) == everyone;
  const int slot = whole ? current->turn ^= 1 : 2;
  write_slot(value, slot);
  meet(mask, operation, site);
  auto result = read([slot](int lane) { return read_slot<T>(lane, slot); });
  if (!whole) meet(mask, operation, site);
  return result;
}

template <class T>
static T shuffle(const char *site, int source, uint32_t mask, T value) {
  return exchange(mask, value, site, [=](auto shown) { return shown(source); }, SHUFFLE);
}

// The lane that a shuffle reads, within parts of `width` lanes; its own beyond their ends.
static inline int part(int width) { return lane() / width * width; }
static inline int within(int source, int width) {
  return source >= part(width) && source < part(width) + width ? source : lane();
}

template <class T>
static T shuffle_index(const char *site, uint32_t mask, T value, int source, int width = WARP) {
  return shuffle(site, part(width) + (source & (width - 1)), mask, value);
}
template <class T>
static T shuffle_xor(const char *site, uint32_t mask, T value, int bits, int width = WARP) {
  const int source = lane() ^ bits;
  return shuffle(site, source < part(width) + width ? source : lane(), mask, value);
}
template <class T>
static T shuffle_down(const char *site, uint32_t mask, T value, unsigned by, int width = WARP) {
  return shuffle(site, within(lane() + int(by), width), mask, value);
}
template <class T>
static T shuffle_up(const char *site, uint32_t mask, T value, unsigned by, int width = WARP) {
  return shuffle(site, within(lane() - int(by), width), mask, value);
}

static inline uint32_t ballot(const char *site, uint32_t mask, bool vote) {
  return exchange(mask, vote, site, [mask](auto shown) {
    uint32_t votes = 0;
    const uint32_t present = mask & current->mask;
    for (int lane = 0; lane < WARP; lane++)
      if (present >> lane & 1 && shown(lane)) votes |= 1u << lane;
    return votes;
  }, BALLOT);
}

}  // namespace cuda_on_cpu

#define __shfl_sync(...) cuda_on_cpu::shuffle_index(CUDA_ON_CPU_SITE, __VA_ARGS__)
#define __shfl_xor_sync(...) cuda_on_cpu::shuffle_xor(CUDA_ON_CPU_SITE, __VA_ARGS__)
#define __shfl_down_sync(...) cuda_on_cpu::shuffle_down(CUDA_ON_CPU_SITE, __VA_ARGS__)
#define __shfl_up_sync(...) cuda_on_cpu::shuffle_up(CUDA_ON_CPU_SITE, __VA_ARGS__)
#define __ballot_sync(mask, vote) cuda_on_cpu::ballot(CUDA_ON_CPU_SITE, mask, vote)
#define __any_sync(mask, vote) (cuda_on_cpu::ballot(CUDA_ON_CPU_SITE, mask, vote) != 0)
#define __all_sync(mask, vote) (cuda_on_cpu::ballot(CUDA_ON_CPU_SITE, mask, !(vote)) == 0)
