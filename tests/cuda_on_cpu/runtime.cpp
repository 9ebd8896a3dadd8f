// The scheduler of the fibers: who runs next, who waits for whom, and what must never happen.
//
// A fiber runs until it waits. Then another that is ready runs, in one of three orders: FORWARD,
// REVERSE, or SHUFFLED by a seed. A kernel that is right gives the same results in all of them.
//
// Compiled without ThreadSanitizer's instrumentation in every build; WITH_THREAD_SANITIZER and
// WITH_ADDRESS_SANITIZER add the calls that tell the sanitizers about fibers.
#include <link.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "cuda_on_cpu.h"
#include "fiber_switch.h"

enum Order { FORWARD, REVERSE, SHUFFLED };
extern "C" {
int cuda_on_cpu_order = FORWARD;
uint32_t cuda_on_cpu_seed = 1;
}

namespace cuda_on_cpu {

struct Warp {
  uint32_t ready, alive;  // lanes
  unsigned meetings;
  char order_of_memory[2];  // what __syncwarp releases and acquires, in turn
};

Fiber fibers[MAX_THREADS];
Fiber *current;
uint32_t lanes_of_warp[MAX_THREADS / WARP];
uint3 block_index;
dim3 block_size, grid_size;
unsigned char *dynamic_shared;

static Fiber caller;  // the thread of the operating system
static Warp warps[MAX_THREADS / WARP];
static int threads, warp_count, at_barrier, ended;
static unsigned barriers;
static char order_of_barriers[2], end_of_block;
static size_t dynamic_bytes;
static void (*kernel)(void **);
static void **kernel_arguments;
static char message[1024];
static bool failed, after_failure;

// The compiler keeps equal texts once, mostly.
static bool same(const char *site, const char *other) {
  return site == other || strcmp(site, other) == 0;
}

static void jump_to(Fiber *next) {
  Fiber *from = current;
  if (from == next) return;
  current = next;
#ifdef WITH_ADDRESS_SANITIZER
  void *fake_stack = nullptr;
  __sanitizer_start_switch_fiber(from->state == EXITED ? nullptr : &fake_stack, next->stack,
                                 next == &caller ? 8 << 20 : STACK_BYTES);
#endif
#ifdef WITH_THREAD_SANITIZER
  __tsan_switch_to_fiber(next->sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
  cuda_on_cpu_swap(&from->stack_pointer, next->stack_pointer);
#ifdef WITH_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void fail(const char *format, ...) {
  int length = snprintf(message, sizeof message, "block (%u, %u, %u), thread %d: ", block_index.x,
                        block_index.y, block_index.z, current == &caller ? -1 : current->number);
  va_list values;
  va_start(values, format);
  vsnprintf(message + length, sizeof message - length, format, values);
  va_end(values);
  failed = true;
  if (current == &caller) abort();  // nothing calls fail from there
  current->state = EXITED;
  jump_to(&caller);
  abort();  // the caller does not come back
}

static uint32_t random_number() {
  cuda_on_cpu_seed = cuda_on_cpu_seed * 1664525u + 1013904223u;
  return cuda_on_cpu_seed >> 10;
}

// One of the lanes.
static int pick(uint32_t lanes) {
  if (cuda_on_cpu_order == FORWARD) return __builtin_ctz(lanes);
  if (cuda_on_cpu_order == REVERSE) return 31 - __builtin_clz(lanes);
  const int turn = random_number() & 31;
  const uint32_t turned = turn ? lanes >> turn | lanes << (32 - turn) : lanes;
  return (__builtin_ctz(turned) + turn) & 31;
}

static const char *doing(const Fiber &fiber) {
  switch (fiber.state) {
    case AT_BARRIER: return "waits in __syncthreads";
    case AT_WARP_OPERATION: return "waits for its warp";
    case EXITED: return "has ended";
    default: return "is ready";
  }
}

// Leaves the current fiber for one that is ready: of its own warp where there is one.
static void schedule() {
  int first = current->warp;
  if (cuda_on_cpu_order == SHUFFLED && random_number() % 4 == 0) first = random_number() % warp_count;
  for (int i = 0; i < warp_count; i++) {
    const int step = cuda_on_cpu_order == REVERSE ? warp_count - i : i;
    const int warp = (first + step) % warp_count;
    if (warps[warp].ready) return jump_to(&fibers[warp * WARP + pick(warps[warp].ready)]);
  }
  if (ended == threads) return jump_to(&caller);
  const Fiber *other = &fibers[0];
  for (int i = 0; i < threads; i++)
    if (fibers[i].state != current->state || fibers[i].site != current->site) other = &fibers[i];
  fail("no thread can go on: it %s (%s), and thread %d %s (%s)", doing(*current), current->site,
       other->number, doing(*other), other->site);
}

void barrier(const char *site) {
  Fiber *self = current;
  self->state = AT_BARRIER;
  self->site = site;
  warps[self->warp].ready &= ~(1u << self->lane);
  if (ended) fail("__syncthreads at %s, after another thread has ended", site);
  char *order = &order_of_barriers[barriers & 1];
  release(order);
  if (++at_barrier == threads) {
    for (int i = 0; i < threads; i++) {
      if (!same(fibers[i].site, site))
        fail("threads meet at different __syncthreads: %s, and thread %d at %s", site, i,
             fibers[i].site);
      fibers[i].state = READY;
      warps[fibers[i].warp].ready |= 1u << fibers[i].lane;
    }
    at_barrier = 0;
    barriers++;
    if (cuda_on_cpu_order == SHUFFLED) schedule();  // who comes last need not go on first
  } else {
    schedule();
  }
  acquire(order);
}

void meet(uint32_t mask, int operation, const char *site) {
  Fiber *self = current;
  Warp &warp = warps[self->warp];
  Fiber *lanes = &fibers[self->warp * WARP];
  mask &= warp.alive;
  if (!(mask >> self->lane & 1)) fail("at %s the lane is not in its own mask", site);
  self->state = AT_WARP_OPERATION;
  self->site = site;
  self->operation = operation;
  self->mask = mask;
  warp.ready &= ~(1u << self->lane);
  char *order = &warp.order_of_memory[warp.meetings & 1];
  if (operation == SYNCWARP) release(order);
  bool complete = true;
  for (int lane = 0; lane < WARP; lane++) {
    const Fiber &other = lanes[lane];
    if (!(mask >> lane & 1) || &other == self) continue;
    if (other.state != AT_WARP_OPERATION) {
      complete = false;
    } else if (other.mask != mask || other.operation != operation || !same(other.site, site)) {
      if (other.mask >> self->lane & 1)
        fail("lanes meet at different operations of a warp: %s with mask %08x, and thread %d at %s "
             "with mask %08x", site, mask, other.number, other.site, other.mask);
      complete = false;
    }
  }
  if (complete) {
    for (int lane = 0; lane < WARP; lane++)
      if (mask >> lane & 1) lanes[lane].state = READY;
    warp.ready |= mask;
    warp.meetings++;
    if (cuda_on_cpu_order != FORWARD) schedule();
  } else {
    schedule();
  }
  if (operation == SYNCWARP) acquire(order);
}

// Where every fiber begins and ends.
static void run_thread() {
#ifdef WITH_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  Fiber *self = current;
  acquire(self);
  kernel(kernel_arguments);
  release(&end_of_block);
  self->state = EXITED;
  ended++;
  warps[self->warp].ready &= ~(1u << self->lane);
  warps[self->warp].alive &= ~(1u << self->lane);
  if (at_barrier) fail("the thread ends while others wait in __syncthreads");
  schedule();
  __builtin_unreachable();
}

// Fills the thread-local variables of the kernel's library, its static shared memory, with NaN.
static int fill_if_own(dl_phdr_info *library, size_t, void *) {
  const auto place = reinterpret_cast<uintptr_t>(kernel);
  bool own = false;
  size_t bytes = 0;
  for (int i = 0; i < library->dlpi_phnum; i++) {
    const auto &part = library->dlpi_phdr[i];
    const uintptr_t begin = library->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && place >= begin && place < begin + part.p_memsz) own = true;
    if (part.p_type == PT_TLS) bytes = part.p_memsz;
  }
  if (own && library->dlpi_tls_data) memset(library->dlpi_tls_data, 0xff, bytes);
  return own;
}

static void start(Fiber &fiber, int number) {
  if (!fiber.stack) {
    fiber.stack = allocate_stack();
#ifdef WITH_THREAD_SANITIZER
    fiber.sanitizer = __tsan_create_fiber(0);
#endif
  }
#ifdef WITH_ADDRESS_SANITIZER
  // run_thread has not returned, so the end of the stack counts as in use; after a failure all.
  const size_t used = after_failure ? STACK_BYTES : 4096;
  __asan_unpoison_memory_region(fiber.stack + STACK_BYTES - used, used);
#endif
  fiber.number = number;
  fiber.lane = number % WARP;
  fiber.warp = number / WARP;
  fiber.state = READY;
  fiber.turn = 0;
  fiber.site = "its begin";
  fiber.index = {number % block_size.x, number / block_size.x % block_size.y,
                 number / (block_size.x * block_size.y)};
  fiber.stack_pointer = new_stack(fiber.stack, run_thread);
  release(&fiber);
}

static void run_block() {
  at_barrier = ended = 0;
  if (dynamic_shared) memset(dynamic_shared, 0xff, dynamic_bytes);
  dl_iterate_phdr(fill_if_own, nullptr);
  for (int warp = 0; warp < warp_count; warp++) {
    const int count = threads - warp * WARP;
    const uint32_t lanes = count >= WARP ? ~0u : (1u << count) - 1;
    lanes_of_warp[warp] = warps[warp].alive = warps[warp].ready = lanes;
  }
  for (int i = 0; i < threads; i++) start(fibers[i], i);
  const int first = cuda_on_cpu_order == REVERSE ? warp_count - 1 : 0;
  caller.state = READY;
  jump_to(&fibers[first * WARP + pick(warps[first].ready)]);
  acquire(&end_of_block);
}

const char *run_grid(void (*body)(void **), void **arguments, const unsigned *grid,
                     const unsigned *block, size_t shared_bytes) {
  kernel = body;
  kernel_arguments = arguments;
  grid_size = {grid[0], grid[1], grid[2]};
  block_size = {block[0], block[1], block[2]};
  threads = int(block[0] * block[1] * block[2]);
  warp_count = (threads + WARP - 1) / WARP;
  for (int i = threads; i < MAX_THREADS; i++) fibers[i].number = -1;
  dynamic_bytes = shared_bytes;
  dynamic_shared = nullptr;
  if (shared_bytes) dynamic_shared = static_cast<unsigned char *>(malloc(shared_bytes));
  current = &caller;
  failed = false;
#ifdef WITH_ADDRESS_SANITIZER
  caller.stack = static_cast<char *>(__builtin_frame_address(0)) - (7 << 20);
#endif
#ifdef WITH_THREAD_SANITIZER
  caller.sanitizer = __tsan_get_current_fiber();
#endif
  const unsigned blocks = grid[0] * grid[1] * grid[2];
  const unsigned offset = cuda_on_cpu_order == SHUFFLED && blocks ? random_number() % blocks : 0;
  for (unsigned i = 0; i < blocks && !failed; i++) {
    const unsigned number = cuda_on_cpu_order == REVERSE ? blocks - 1 - i : (i + offset) % blocks;
    block_index = {number % grid[0], number / grid[0] % grid[1], number / (grid[0] * grid[1])};
    run_block();
  }
  free(dynamic_shared);
  dynamic_shared = nullptr;
  after_failure |= failed;
  return failed ? message : nullptr;
}

}  // namespace cuda_on_cpu
