// SPDX-License-Identifier: Apache-2.0
// The frame of every program: an Error becomes one line and an exit status, and so does output that could not be printed.
#pragma once

#include <bimtdp/core/error.hpp>

#include <exception>
#include <iostream>
#include <string_view>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#endif

namespace example {

namespace detail {

/// Takes the place of standard streams that are closed, so that no file that is opened later gets their numbers and what is
/// printed goes into it. Printing fails as it did.
inline void hold_standard_streams() {
#if defined(__unix__) || defined(__APPLE__)
  for (int stream = 0; stream <= 2; ++stream)
    if (::fcntl(stream, F_GETFD) < 0) static_cast<void>(::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY));
#endif
}

}  // namespace detail

/// The exit status of `body`(), which returns one: `failed` after an exception, and where standard output is closed or full.
template <class Body>
int run_program(std::string_view name, int failed, Body&& body) {
  detail::hold_standard_streams();
  try {
    const int status = body();
    std::cout.flush();
    bimtdp::demand(std::cout.good(), "standard output", "cannot be written (is it closed, or its disk full?)");
    return status;
  } catch (const std::exception& error) {
    std::cerr << name << ": " << bimtdp::printable(error.what()) << '\n';
    return failed;
  }
}

}  // namespace example
