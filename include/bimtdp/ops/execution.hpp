// SPDX-License-Identifier: Apache-2.0
// Execution: what an op needs besides its inputs - the kernels, a thread count and scratch memory - and the one place
// where threads are started. Results never depend on the thread count: parts of an op write disjoint rows.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/kernels/table.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace bimtdp::ops {

/// The largest thread count that an op accepts.
inline constexpr std::size_t max_threads = 1024;

struct Execution {
  const kernels::KernelTable* kernels = nullptr;
  std::size_t threads = 1;         ///< 1..max_threads; more than one needs OpenMP to be of use
  std::span<std::byte> scratch{};  ///< 64-byte aligned, at least the op's scratch_bytes(...) for `threads`
};

/// Bytes that `count` values of T take in scratch memory.
template <class T>
[[nodiscard]] constexpr std::size_t scratch_size(std::size_t count) {
  return round_up(count * sizeof(T), alignment);
}

/// Hands out aligned pieces of scratch memory; what scratch_bytes promised is always there.
class Scratch {
 public:
  explicit Scratch(std::span<std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  [[nodiscard]] T* take(std::size_t count) noexcept {
    return reinterpret_cast<T*>(take_bytes(scratch_size<T>(count)).data());
  }
  [[nodiscard]] std::span<std::byte> take_bytes(std::size_t size) noexcept {
    const std::span<std::byte> piece = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return piece;
  }
  /// What has not been taken yet.
  [[nodiscard]] std::span<std::byte> rest() const noexcept { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

/// The scratch memory of an op: `shared` bytes and `each` bytes a thread. Both are sums of scratch_size.
struct ScratchNeed {
  std::size_t shared = 0;
  std::size_t each = 0;
  [[nodiscard]] constexpr std::size_t total(std::size_t threads) const { return shared + threads * each; }
};

/// Throws Error unless `execution` can run an op that needs `need`.
inline void check_execution(const Execution& execution, const ScratchNeed& need, std::string_view where) {
  check(execution.kernels != nullptr, where, "execution has no kernels");
  check(execution.threads >= 1 && execution.threads <= max_threads, where, "thread count (got ", execution.threads,
        ", expected 1 to ", max_threads, ")");
  check(execution.scratch.size() >= need.total(execution.threads), where, "scratch bytes (got ", execution.scratch.size(),
        ", expected at least ", need.total(execution.threads), ")");
  check(reinterpret_cast<std::uintptr_t>(execution.scratch.data()) % alignment == 0, where, "scratch is not ", alignment,
        "-byte aligned");
}

/// Cuts 0..count-1 into at most execution.threads parts of neighbouring items and calls body(begin, end, Scratch) for each,
/// on an OpenMP team where there is one. Each part has `need.each` bytes of scratch behind the `need.shared` common ones.
/// The body must not throw.
template <class Body>
void for_each_part(const Execution& execution, std::size_t count, const ScratchNeed& need, Body&& body) {
  const std::size_t parts = std::min(execution.threads, count);
  const auto run_part = [&](std::size_t part) {
    const auto scratch =
        need.each == 0 ? std::span<std::byte>{} : execution.scratch.subspan(need.shared + part * need.each, need.each);
    body(count * part / parts, count * (part + 1) / parts, Scratch(scratch));
  };
#ifdef _OPENMP
  if (parts > 1) {
    const int team = static_cast<int>(parts);
#pragma omp parallel for num_threads(team) schedule(static, 1)
    for (int part = 0; part < team; ++part) run_part(static_cast<std::size_t>(part));
    return;
  }
#endif
  for (std::size_t part = 0; part < parts; ++part) run_part(part);
}

/// The same for bodies that take one item: body(item, Scratch).
template <class Body>
void for_each_row(const Execution& execution, std::size_t rows, const ScratchNeed& need, Body&& body) {
  for_each_part(execution, rows, need, [&](std::size_t begin, std::size_t end, const Scratch& scratch) {
    for (std::size_t row = begin; row < end; ++row) body(row, scratch);
  });
}

/// Scratch memory of its own and the Execution that uses it: for the functions that run an op once.
class OwnExecution {
 public:
  OwnExecution(const kernels::KernelTable& kernels, std::size_t scratch_bytes, std::size_t threads = 1)
      : bytes_(scratch_bytes), execution_{&kernels, threads, bytes_} {}
  OwnExecution(const OwnExecution&) = delete;
  OwnExecution& operator=(const OwnExecution&) = delete;
  operator const Execution&() const { return execution_; }

 private:
  AlignedVector<std::byte> bytes_;
  Execution execution_;
};

}  // namespace bimtdp::ops
