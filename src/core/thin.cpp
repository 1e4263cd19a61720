#include "core/thin.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "core/parallel.h"

#ifdef KINLMM_X86
#include <immintrin.h>
#endif

#define KINLMM_INLINE inline __attribute__((always_inline))

namespace kinlmm {

namespace {

// A strip of samples, a run of samples and a group of markers are decoded at a time, to
// stay in the first cache. All are multiples of the rows of every tile.
constexpr Index kStrip = 96, kRun = 480, kGroup = 48, kTile = 12;

Index round_up(Index x, Index to) {
  return (x + to - 1) / to * to;
}

// A set of instructions: vectors of bytes, rows of a tile, and how counts are decoded.
// The attribute is lost where a vector is the argument of a template, hence the wrapper.
template <class Value, int Bytes>
struct Lanes {
  typedef Value type
      __attribute__((vector_size(Bytes), aligned(sizeof(Value)), may_alias));
};

template <class Value>
KINLMM_INLINE void decode_rest(const std::uint8_t* counts, Index from, Index n,
                               const Value* table, Value* out) {
  for (Index i = from; i < n; ++i) out[i] = table[counts[i] & 3];
}

struct Portable {
  static constexpr int kBytes = 16, kRows = 4;
  template <class Value>
  static KINLMM_INLINE void decode(const std::uint8_t* counts, Index n,
                                   const Value* table, Value* out) {
    decode_rest(counts, 0, n, table, out);
  }
};

#ifdef KINLMM_X86
#define KINLMM_AVX2 __attribute__((target("avx2,fma")))
#define KINLMM_AVX512 __attribute__((target("avx512f")))

struct Avx2 {
  static constexpr int kBytes = 32, kRows = 6;
  KINLMM_AVX2 static inline void decode(const std::uint8_t* counts, Index n,
                                        const float* table, float* out) {
    const __m256 z = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(table));
    Index i = 0;
    for (; i + 8 <= n; i += 8) {
      const auto* at = reinterpret_cast<const __m128i*>(counts + i);
      const __m256i place = _mm256_cvtepu8_epi32(_mm_loadl_epi64(at));
      _mm256_storeu_ps(out + i, _mm256_permutevar_ps(z, place));
    }
    decode_rest(counts, i, n, table, out);
  }
  KINLMM_AVX2 static inline void decode(const std::uint8_t* counts, Index n,
                                        const double* table, double* out) {
    decode_rest(counts, 0, n, table, out);
  }
};

struct Avx512 {
  static constexpr int kBytes = 64, kRows = 12;
  // the masked forms, because compilers warn of the others' headers
  KINLMM_AVX512 static inline void decode(const std::uint8_t* counts, Index n,
                                          const float* table, float* out) {
    const __m512 z = _mm512_maskz_broadcast_f32x4(0xffff, _mm_loadu_ps(table));
    Index i = 0;
    for (; i + 16 <= n; i += 16) {
      const auto* at = reinterpret_cast<const __m128i*>(counts + i);
      const __m512i place = _mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(at));
      _mm512_storeu_ps(out + i, _mm512_maskz_permutexvar_ps(0xffff, place, z));
    }
    decode_rest(counts, i, n, table, out);
  }
  KINLMM_AVX512 static inline void decode(const std::uint8_t* counts, Index n,
                                          const double* table, double* out) {
    const __m512d z = _mm512_maskz_broadcast_f64x4(0xff, _mm256_loadu_pd(table));
    Index i = 0;
    for (; i + 8 <= n; i += 8) {
      const auto* at = reinterpret_cast<const __m128i*>(counts + i);
      const __m512i place = _mm512_maskz_cvtepu8_epi64(0xff, _mm_loadl_epi64(at));
      _mm512_storeu_pd(out + i, _mm512_maskz_permutexvar_pd(0xff, place, z));
    }
    decode_rest(counts, i, n, table, out);
  }
};
#endif

// Samples first, ..., first + count - 1 of a marker, and zeros up to `length`; only zeros
// if there is no such marker.
template <class Set, class Value>
KINLMM_INLINE void fill(const ThinBlock& Z, Index marker, Index first, Index count,
                        Index length, Value* out) {
  if (marker >= Z.size()) count = 0;
  if (count > 0 && Z.counts.empty()) {
    const double* z = Z.columns[marker] + first;
    for (Index i = 0; i < count; ++i) out[i] = static_cast<Value>(z[i]);
  } else if (count > 0) {
    Value table[4];
    for (int v = 0; v < 4; ++v) table[v] = static_cast<Value>(Z.values[marker][v]);
    Set::decode(Z.counts[marker] + first, count, table, out);
  }
  std::fill(out + count, out + length, Value(0));
}

// C (rows x width) += A B for one or two vectors of columns: element (r, t) of A is
// a[r * row + t * step], and B is inner x width, by row.
template <class Vector, bool Two, class Value, std::size_t... R>
KINLMM_INLINE void tile_columns(const Value* a, Index row, Index step, Index inner,
                                const Value* B, Index width, Value* C,
                                std::index_sequence<R...>) {
  typedef typename Vector::type V;
  constexpr Index beside = Two ? sizeof(V) / sizeof(Value) : 0;
  V x[sizeof...(R)] = {((void)R, V{})...}, y[sizeof...(R)] = {((void)R, V{})...};
  for (Index t = 0; t < inner; ++t) {
    const Value* at = a + t * step;
    const V b = *reinterpret_cast<const V*>(B + t * width);
    const V c = *reinterpret_cast<const V*>(B + t * width + beside);
    ((x[R] = x[R] + at[static_cast<Index>(R) * row] * b), ...);
    if constexpr (Two) ((y[R] = y[R] + at[static_cast<Index>(R) * row] * c), ...);
  }
  const auto to = [&](Index r) { return reinterpret_cast<V*>(C + r * width); };
  ((*to(R) = *to(R) + x[R]), ...);
  if constexpr (Two) {
    const auto next = [&](Index r) {
      return reinterpret_cast<V*>(C + r * width + beside);
    };
    ((*next(R) = *next(R) + y[R]), ...);
  }
}

template <class Set, class Value>
KINLMM_INLINE void tile(const Value* a, Index row, Index step, Index inner,
                        const Value* B, Index width, Value* C) {
  using Vector = Lanes<Value, Set::kBytes>;
  constexpr auto rows = std::make_index_sequence<Set::kRows>();
  constexpr Index lanes = Set::kBytes / sizeof(Value);
  Index at = 0;
  for (; at + 2 * lanes <= width; at += 2 * lanes)
    tile_columns<Vector, true>(a, row, step, inner, B + at, width, C + at, rows);
  for (; at < width; at += lanes)
    tile_columns<Vector, false>(a, row, step, inner, B + at, width, C + at, rows);
}

// Rows of T of a group of markers.
template <class Set, class Value>
KINLMM_INLINE void cross(const ThinBlock& Z, const ThinRows<Value>& X, Index group,
                         ThinRows<double>& T) {
  const Index width = X.width, from = group * kGroup;
  std::vector<Value> z(kTile * kRun), sums(static_cast<std::size_t>(kTile * width));
  std::fill_n(T.data.begin() + from * width, kGroup * width, 0.0);
  for (Index first = 0; first < Z.n; first += kRun) {
    const Index count = std::min(kRun, Z.n - first);
    for (Index s = from; s < from + kGroup; s += kTile) {
      for (Index r = 0; r < kTile; ++r)
        fill<Set>(Z, s + r, first, count, count, z.data() + r * kRun);
      std::fill(sums.begin(), sums.end(), Value(0));
      for (Index r = 0; r < kTile; r += Set::kRows) {
        tile<Set>(z.data() + r * kRun, kRun, 1, count, X.data.data() + first * width,
                  width, sums.data() + r * width);
      }
      for (Index e = 0; e < kTile * width; ++e) T.data[s * width + e] += sums[e];
    }
  }
}

// Rows of Y of a strip of samples.
template <class Set, class Value>
KINLMM_INLINE void back(const ThinBlock& Z, const ThinRows<Value>& T, Index strip,
                        ThinRows<double>& Y) {
  const Index width = T.width, first = strip * kStrip;
  const Index count = std::min(kStrip, Z.n - first);
  std::vector<Value> z(kStrip * kGroup), sums(static_cast<std::size_t>(kStrip * width));
  for (Index s = 0; s < Z.size(); s += kGroup) {
    const Index markers = std::min(kGroup, Z.size() - s);
    for (Index j = 0; j < markers; ++j)
      fill<Set>(Z, s + j, first, count, kStrip, z.data() + j * kStrip);
    for (Index r = 0; r < kStrip; r += Set::kRows) {
      tile<Set>(z.data() + r, 1, kStrip, markers, T.data.data() + s * width, width,
                sums.data() + r * width);
    }
  }
  for (Index e = 0; e < kStrip * width; ++e) Y.data[first * width + e] += sums[e];
}

template <class Value>
struct Kernel {
  void (*cross)(const ThinBlock&, const ThinRows<Value>&, Index, ThinRows<double>&);
  void (*back)(const ThinBlock&, const ThinRows<Value>&, Index, ThinRows<double>&);
};

// A function of each set, since functions differ in their instructions.
#define KINLMM_THIN_KERNEL(Set, TARGET)                                              \
  template <class Value>                                                             \
  TARGET void cross_##Set(const ThinBlock& Z, const ThinRows<Value>& X, Index group, \
                          ThinRows<double>& T) {                                     \
    cross<Set, Value>(Z, X, group, T);                                               \
  }                                                                                  \
  template <class Value>                                                             \
  TARGET void back_##Set(const ThinBlock& Z, const ThinRows<Value>& T, Index strip,  \
                         ThinRows<double>& Y) {                                      \
    back<Set, Value>(Z, T, strip, Y);                                                \
  }

KINLMM_THIN_KERNEL(Portable, )
#ifdef KINLMM_X86
KINLMM_THIN_KERNEL(Avx2, KINLMM_AVX2)
KINLMM_THIN_KERNEL(Avx512, KINLMM_AVX512)
#endif

template <class Value>
Kernel<Value> choose(Instructions with) {
#ifdef KINLMM_X86
  const bool wide = with == Instructions::automatic || with == Instructions::vnni;
  if (wide && __builtin_cpu_supports("avx512f"))
    return {cross_Avx512<Value>, back_Avx512<Value>};
  const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (with != Instructions::portable && fma) return {cross_Avx2<Value>, back_Avx2<Value>};
#else
  static_cast<void>(with);
#endif
  return {cross_Portable<Value>, back_Portable<Value>};
}

}  // namespace

template <class Value>
ThinRows<Value>::ThinRows(Index row_count, Index column_count)
    : rows(row_count),
      columns(column_count),
      width(round_up(column_count, 16)),
      data(static_cast<std::size_t>(round_up(row_count, kStrip) * width), Value(0)) {}

template <class Value>
ThinRows<Value>::ThinRows(const ConstMatrixRef& X) : ThinRows(X.rows(), X.cols()) {
  for (Index c = 0; c < columns; ++c) {
    for (Index i = 0; i < rows; ++i) data[i * width + c] = static_cast<Value>(X(i, c));
  }
}

template <class Value>
Matrix ThinRows<Value>::matrix() const {
  Matrix out(rows, columns);
  for (Index c = 0; c < columns; ++c) {
    for (Index i = 0; i < rows; ++i) out(i, c) = static_cast<double>(data[i * width + c]);
  }
  return out;
}

template <class Value>
void add_thin_products(const ThinBlock& Z, const ThinRows<Value>& X, Instructions with,
                       int threads, ThinRows<double>& T, ThinRows<double>& Y) {
  const Kernel<Value> kernel = choose<Value>(with);
  parallel_for(round_up(Z.size(), kGroup) / kGroup, threads,
               [&](Index group) { kernel.cross(Z, X, group, T); });
  ThinRows<Value> narrow(0, X.columns);
  narrow.rows = T.rows;
  narrow.data.assign(T.data.begin(), T.data.end());
  parallel_for(round_up(Z.n, kStrip) / kStrip, threads,
               [&](Index strip) { kernel.back(Z, narrow, strip, Y); });
}

template struct ThinRows<float>;
template struct ThinRows<double>;
template void add_thin_products<float>(const ThinBlock&, const ThinRows<float>&,
                                       Instructions, int, ThinRows<double>&,
                                       ThinRows<double>&);
template void add_thin_products<double>(const ThinBlock&, const ThinRows<double>&,
                                        Instructions, int, ThinRows<double>&,
                                        ThinRows<double>&);

}  // namespace kinlmm
