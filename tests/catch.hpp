// SPDX-License-Identifier: Apache-2.0
// Catch2 for the tests, version 2 (Debian 12) or 3 (Debian 13, Ubuntu 24.04); cross-compiled tests do with less.
#pragma once

#if defined(BIMTDP_PLAIN_TESTS)
#include "arm/catch.hpp"
#elif __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
