// Products of small matrices, which the 32 lanes of a warp hold together and multiply together.
//
// Layouts are those of the PTX manual, "Matrix fragments for mma.m16n8k16". With g = lane / 4 and
// t = lane % 4, a lane holds, two neighbours in a register of 16-bit numbers:
//
//     A, 16 x 16    a[0]: row g,     columns 2t, 2t + 1        a[2]: row g,     columns 2t + 8, + 9
//                   a[1]: row g + 8, columns 2t, 2t + 1        a[3]: row g + 8, columns 2t + 8, + 9
//     B, 16 x 8     b[0]: rows 2t, 2t + 1, column g            b[1]: rows 2t + 8, 2t + 9, column g
//     C, 16 x 8     c[0], c[1]: row g, columns 2t, 2t + 1      c[2], c[3]: row g + 8, likewise
//
// and of "mma.m16n8k32", for whole numbers of 8 bits, four neighbours in a register:
//
//     A, 16 x 32    a[0], a[1]: rows g, g + 8, columns 4t .. 4t + 3      a[2], a[3]: 16 further on
//     B, 32 x 8     b[0]: rows 4t .. 4t + 3, column g                    b[1]: 16 further on
//     C             as above
#pragma once
#include "port.cuh"

// Two numbers of 16 bits in a register, the first in the lower half.
__device__ __forceinline__ unsigned pack(__half first, __half second) {
  return __half_as_ushort(first) | unsigned(__half_as_ushort(second)) << 16;
}
__device__ __forceinline__ unsigned pack(__nv_bfloat16 first, __nv_bfloat16 second) {
  return __bfloat16_as_ushort(first) | unsigned(__bfloat16_as_ushort(second)) << 16;
}

#ifdef CUDA_ON_CPU
namespace cuda_on_cpu {

template <class T>
static inline float half_of_register(unsigned packed, int which) {
  const auto bits = static_cast<unsigned short>(packed >> (16 * which));
  if (Same<T, __nv_bfloat16>::value) return __bfloat162float(__ushort_as_bfloat16(bits));
  return __half2float(__ushort_as_half(bits));
}

// Row and column of A and B by the layout above, without a word of registers.
template <class T>
__noinline__ static void multiply_16_8_16(float *c, const unsigned *a, const unsigned *b,
                                          const char *site) {
  struct Shown {
    unsigned a[4], b[2];
  };
  const Shown own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  struct Rows {
    float a[2][16], b[2][16];
  };
  const int g = lane() / 4, t = lane() % 4;
  const Rows all = exchange(0xffffffffu, own, site, [=](auto shown) {
    Rows rows;
    for (int k = 0; k < 16; k += 2) {
      const Shown left = shown(4 * g + k % 8 / 2);
      for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
          const Shown right = shown(4 * (2 * t + j) + k % 8 / 2);
          rows.a[j][k + i] = half_of_register<T>(left.a[j + 2 * (k / 8)], i);
          rows.b[j][k + i] = half_of_register<T>(right.b[k / 8], i);
        }
    }
    return rows;
  });
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      float sum = 0.f;
      for (int k = 0; k < 16; k++) sum += all.a[i][k] * all.b[j][k];
      c[2 * i + j] += sum;
    }
}

// Likewise for whole numbers.
__noinline__ static void multiply_16_8_32(int *c, const unsigned *a, const unsigned *b,
                                          const char *site) {
  struct Shown {
    unsigned a[4], b[2];
  };
  const Shown own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  struct Rows {
    signed char a[2][32], b[2][32];
  };
  const int g = lane() / 4, t = lane() % 4;
  const Rows all = exchange(0xffffffffu, own, site, [=](auto shown) {
    Rows rows;
    for (int k = 0; k < 32; k++)
      for (int j = 0; j < 2; j++) {
        const Shown left = shown(4 * g + k % 16 / 4), right = shown(4 * (2 * t + j) + k % 16 / 4);
        const int shift = 8 * (k % 4);
        rows.a[j][k] = static_cast<signed char>(left.a[j + 2 * (k / 16)] >> shift);
        rows.b[j][k] = static_cast<signed char>(right.b[k / 16] >> shift);
      }
    return rows;
  });
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      for (int k = 0; k < 32; k++) c[2 * i + j] += all.a[i][k] * all.b[j][k];
}

// A register's two numbers: of one row, or, transposed, of one column.
static inline void load_matrices(unsigned *matrices, const void *row, bool transposed,
                                 const char *site) {
  struct Pairs {
    const unsigned short *rows[4][2];
  };
  const int g = lane() / 4, t = lane() % 4;
  const Pairs pairs = exchange(0xffffffffu, row, site, [=](auto shown) {
    Pairs all;
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 2; j++) {
        const int number = transposed ? 2 * t + j : g;
        all.rows[i][j] = static_cast<const unsigned short *>(shown(8 * i + number));
      }
    return all;
  });
  for (int i = 0; i < 4; i++) {
    const int first = transposed ? g : 2 * t, second = transposed ? g : 2 * t + 1;
    matrices[i] = pairs.rows[i][0][first] | unsigned(pairs.rows[i][1][second]) << 16;
  }
}

}  // namespace cuda_on_cpu
#endif

// C += A B, for T float16 or bfloat16 and sums in float32.
template <class T>
__device__ __forceinline__ void multiply_16x8x16(float *c, const unsigned *a, const unsigned *b) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::multiply_16_8_16<T>(c, a, b, CUDA_ON_CPU_SITE);
#else
  if constexpr (Same<T, __half>::value)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// C += A B, for whole numbers of 8 bits with a sign, and sums of 32 bits.
__device__ __forceinline__ void multiply_16x8x32(int *c, const unsigned *a, const unsigned *b) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::multiply_16_8_32(c, a, b, CUDA_ON_CPU_SITE);
#else
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four matrices of 8 rows of 16 bytes from shared memory. Lane 8 i + r gives the address of row r
// of matrix i; matrices[i] is then, of row g, the bytes 4t to 4t + 3: two numbers of 16 bits.
__device__ __forceinline__ void load_8x8_x4(unsigned *matrices, const void *row) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::load_matrices(matrices, row, false, CUDA_ON_CPU_SITE);
#else
  const unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(place)
               : "memory");
#endif
}

// The same, transposed: matrices[i] is, of column g of 16 bits, the rows 2t and 2t + 1.
__device__ __forceinline__ void load_8x8_x4_transposed(unsigned *matrices, const void *row) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::load_matrices(matrices, row, true, CUDA_ON_CPU_SITE);
#else
  const unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(place)
               : "memory");
#endif
}
