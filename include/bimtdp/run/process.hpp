// SPDX-License-Identifier: Apache-2.0
// What threads of our own must know of the process that they are in: whether it is still the one that made them, and its signals.
#pragma once

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#include <csignal>
#endif

namespace bimtdp::detail {

#if defined(__unix__) || defined(__APPLE__)

/// The process in which it was made; a child of fork() is another one.
class Process {
 public:
  [[nodiscard]] bool is_this() const noexcept { return id_ == ::getpid(); }

 private:
  pid_t id_ = ::getpid();
};

/// While it lives, this thread and the threads that it makes get no signal; they keep that, this thread does not.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

#else  // neither fork nor signals that reach threads

struct Process {
  [[nodiscard]] static bool is_this() noexcept { return true; }
};
struct BlockedSignals {};

#endif

}  // namespace bimtdp::detail
