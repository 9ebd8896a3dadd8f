// Launching a kernel: its arguments come as addresses, as in CUDA's own interface.
#pragma once
#include <type_traits>
#include <utility>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "threads.h"

namespace cuda_on_cpu {

// Runs every block of a grid; returns what went wrong, or null.
const char *run_grid(void (*body)(void **), void **arguments, const unsigned *grid,
                     const unsigned *block, size_t shared_bytes);

// How a parameter is described to Python: kind and size of a number, "*" before what it points to.
template <class T> struct Described {
  static constexpr char kind = std::is_floating_point<T>::value ? 'f'
                               : std::is_same<T, bool>::value   ? 'b'
                               : std::is_signed<T>::value       ? 'i'
                               : std::is_unsigned<T>::value     ? 'u'
                                                                : 'V';
};
template <> struct Described<__half> { static constexpr char kind = 'f'; };
template <> struct Described<__nv_bfloat16> { static constexpr char kind = 'B'; };

template <class T>
static void describe(char *&text) {
  using Target = std::remove_cv_t<std::remove_pointer_t<T>>;
  if (std::is_pointer<T>::value) *text++ = '*';
  if constexpr (std::is_void<Target>::value) {
    *text++ = 'v';
  } else {
    *text++ = Described<Target>::kind;
    const int size = sizeof(Target);
    if (size >= 10) *text++ = char('0' + size / 10);
    *text++ = char('0' + size % 10);
  }
  *text++ = ' ';
}

template <class... Parameters>
struct Kernel {
  static void (*function)(Parameters...);
  template <size_t... I>
  static void call(void **arguments, std::index_sequence<I...>) {
    function(*static_cast<std::remove_const_t<Parameters> *>(arguments[I])...);
  }
  static void body(void **arguments) { call(arguments, std::index_sequence_for<Parameters...>{}); }
};
template <class... Parameters>
void (*Kernel<Parameters...>::function)(Parameters...);

// Thread-local variables of a library, such as its static shared memory, exist once one was written.
static thread_local volatile char first_of_shared;

template <class... Parameters>
static const char *launch(void (*kernel)(Parameters...), void **arguments, const unsigned *grid,
                          const unsigned *block, size_t shared_bytes) {
  Kernel<Parameters...>::function = kernel;
  first_of_shared = 0;
  return run_grid(Kernel<Parameters...>::body, arguments, grid, block, shared_bytes);
}
template <class... Parameters>
static void signature(void (*)(Parameters...), char *text) {
  (describe<Parameters>(text), ...);
  *text = 0;
}

}  // namespace cuda_on_cpu

// What Python calls for the kernel of this number in a library.
#define CUDA_ON_CPU_ENTRY(number, ...)                                                        \
  extern "C" const char *launch_##number(void **arguments, const unsigned *grid,              \
                                         const unsigned *block, size_t shared_bytes) {        \
    return cuda_on_cpu::launch(&__VA_ARGS__, arguments, grid, block, shared_bytes);           \
  }                                                                                           \
  extern "C" void signature_##number(char *text) { cuda_on_cpu::signature(&__VA_ARGS__, text); }
