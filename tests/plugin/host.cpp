// SPDX-License-Identifier: Apache-2.0
// host PLUGIN TIMES: a program without threads and without the library loads the plugin, calls it and unloads it, again and again.
// Nothing of it may stay: no thread, no memory, no other result.
#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

namespace {

/// What the plugin says. Exits where it cannot be loaded.
std::uint64_t call(const char* path) {
  void* plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void* function = plugin != nullptr ? dlsym(plugin, "bimtdp_plugin_run") : nullptr;
  if (function == nullptr) {
    std::cerr << dlerror() << '\n';
    std::exit(1);
  }
  const auto run = reinterpret_cast<std::uint64_t (*)()>(function);
  const std::uint64_t result = run();
  dlclose(plugin);
  if (dlopen(path, RTLD_NOW | RTLD_NOLOAD) != nullptr) {
    std::cerr << path << " is still there\n";
    std::exit(1);
  }
  return result;
}

std::ptrdiff_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

std::size_t resident_pages() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident;
}

}  // namespace

int main(int argc, char** argv) {
  const int times = argc == 3 ? std::atoi(argv[2]) : 0;
  const std::uint64_t expected = times > 0 ? call(argv[1]) : 0;
  for (int i = 0; i < times / 10; ++i) (void)call(argv[1]);
  const std::size_t before = resident_pages();
  for (int i = 0; i < times; ++i) {
    if (call(argv[1]) != expected) return std::cerr << "another result in call " << i << '\n', 1;
    if (threads() != 1) return std::cerr << threads() << " threads after call " << i << '\n', 1;
  }
  const std::size_t after = resident_pages();
  std::cout << times << " times: " << before << " pages before, " << after << " after\n";
  return times > 0 && after < before + 256 ? 0 : 1;  // a leak of one page a call would be seen
}
