// SPDX-License-Identifier: Apache-2.0
// The umbrella header behind the macros that systems and frameworks define: Apple's AssertMacros, Windows, Unreal, Qt, X11, C99.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cfenv>
#include <charconv>
#include <chrono>
#include <cmath>
#include <compare>
#include <concepts>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iomanip>
#include <ios>
#include <istream>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <ostream>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>
#include <xsimd/xsimd.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "catch.hpp"

// clang-format off
#undef assert
#undef unix
#undef linux
#define assert(condition) @
#define check(condition) @
#define verify(condition) @
#define require(condition) @
#define ensure(condition) @
#define check_noerr(error) @
#define min(a, b) @
#define max(a, b) @
#define TEXT(text) @
#define major(device) @
#define minor(device) @
#define near @
#define far @
#define small @
#define interface @
#define slots @
#define signals @
#define emit @
#define foreach @
#define forever @
#define None @
#define Status @
#define Bool @
#define Success @
#define Always @
#define Convex @
#define Complex @
#define I @
#define IN @
#define OUT @
#define OPTIONAL @
#define ERROR @
#define DELETE @
#define DIFFERENCE @
#define TRUE @
#define FALSE @
#define DOMAIN @
#define OVERFLOW @
#define unix @
#define linux @
// clang-format on

#include <bimtdp/bimtdp.hpp>

#include "graphs.hpp"

#undef assert
#undef min
#undef max
#undef near
#undef far

using namespace bimtdp;

TEST_CASE("the library compiles and runs behind macros of usual names") {
  const Model model(test::small_network());
  CHECK(model.run(test::noise_photo(16, 16)).size() == 2);
}
