// SPDX-License-Identifier: Apache-2.0
// Workspace: what an op needs besides its inputs, the kernels and scratch memory. An op runs on the thread that calls it; who
// wants several threads gives each its rows and its own workspace (run/run.hpp).
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/kernels/table.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace bimtdp::ops {

struct Workspace {
  const kernels::KernelTable* kernels = nullptr;
  std::span<std::byte> scratch{};  ///< 64-byte aligned, at least the op's scratch_bytes(...), where it has such a function
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
    T* piece = reinterpret_cast<T*>(bytes_.data());
    bytes_ = bytes_.subspan(scratch_size<T>(count));
    return piece;
  }
  /// What has not been taken yet.
  [[nodiscard]] std::span<std::byte> rest() const noexcept { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

/// Throws Error unless `workspace` can run an op that needs `scratch_bytes`.
inline void check_workspace(const Workspace& workspace, std::size_t scratch_bytes, std::string_view where) {
  demand(workspace.kernels != nullptr, where, "workspace has no kernels");
  demand(workspace.scratch.size() >= scratch_bytes, where, "scratch bytes (got ", workspace.scratch.size(), ", expected at least ",
         scratch_bytes, ")");
  demand(reinterpret_cast<std::uintptr_t>(workspace.scratch.data()) % alignment == 0, where, "scratch is not ", alignment,
         "-byte aligned");
}

/// Scratch memory of its own and the Workspace that uses it: for the functions that run an op once.
class OwnWorkspace {
 public:
  explicit OwnWorkspace(const kernels::KernelTable& kernels, std::size_t scratch_bytes = 0)
      : bytes_(scratch_bytes), workspace_{&kernels, bytes_} {}
  OwnWorkspace(const OwnWorkspace&) = delete;
  OwnWorkspace& operator=(const OwnWorkspace&) = delete;
  operator const Workspace&() const { return workspace_; }

 private:
  AlignedVector<std::byte> bytes_;
  Workspace workspace_;
};

}  // namespace bimtdp::ops
