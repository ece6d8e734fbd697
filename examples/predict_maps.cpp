// SPDX-License-Identifier: Apache-2.0
// predict_maps MODEL HEIGHT WIDTH: reads lines "photo.ppm<TAB>prefix" from standard input and writes every task's raw map
// as <prefix>.<task>.npy, float32, height x width x channels. Photos are binary PPM (P6, 8 bits) of exactly HEIGHT x WIDTH.
// scripts/evaluate.py scores models through this program.
#include <bimtdp/bimtdp.hpp>

#include "program.hpp"

#include <charconv>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bimtdp;

/// The next number of a PPM header; comments run from # to the end of the line.
std::size_t read_number(std::istream& in, const std::string& path) {
  while (std::isspace(in.peek()) || in.peek() == '#') {
    if (in.get() == '#') in.ignore(1 << 20, '\n');
  }
  std::size_t number = 0;
  demand(static_cast<bool>(in >> number), path, "is no binary PPM file: a number is missing in its header");
  return number;
}

Image read_ppm(const std::string& path, std::size_t height, std::size_t width) {
  std::ifstream in(path, std::ios::binary);
  demand(in.good(), path, "cannot be opened");
  char magic[2] = {};
  in.read(magic, 2);
  demand(in.good() && magic[0] == 'P' && magic[1] == '6', path, "is no binary PPM file (expected it to begin with P6)");
  const std::size_t w = read_number(in, path), h = read_number(in, path), most = read_number(in, path);
  demand(w == width && h == height, path, "size (got ", h, "x", w, ", expected ", height, "x", width, ")");
  check_equal(most, std::size_t{255}, path, "largest value");
  in.get();  // the one blank before the pixels
  Image image({height, width, 3});
  in.read(reinterpret_cast<char*>(image.data()), static_cast<std::streamsize>(image.span().size()));
  demand(in.gcount() == static_cast<std::streamsize>(image.span().size()), path, "is truncated");
  return image;
}

std::size_t parse_extent(std::string_view text, std::string_view name) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  demand(error == std::errc{} && end == text.data() + text.size() && value > 0, name, "(got '", text,
         "', expected a number of pixels)");
  return value;
}

struct Job {
  std::string photo, prefix;
};

std::vector<Job> read_jobs(std::istream& in) {
  std::vector<Job> jobs;
  for (std::string line; std::getline(in, line);) {
    const std::size_t tab = line.find('\t');
    demand(tab != std::string::npos, "standard input", "line without a tab (got ", in_quotes(line),
           ", expected photo.ppm<TAB>prefix)");
    jobs.push_back({line.substr(0, tab), line.substr(tab + 1) + "."});
  }
  return jobs;
}

/// Throws Error where two maps would have one file, as prefix a with the task b.c and prefix a.b with the task c have.
void check_files(const std::vector<Job>& jobs, const Model& model) {
  std::set<std::string> files;
  for (const Job& job : jobs)
    for (const Output& output : model.outputs())
      demand(files.insert(lower_case(job.prefix + output.task)).second, "standard input", "two maps would be written to ",
             job.prefix, output.task, ".npy; give each photo a prefix of its own");
}

void predict_all(const std::string& path, std::size_t height, std::size_t width) {
  Runner runner(Model::load(path));
  const std::vector<Job> jobs = read_jobs(std::cin);
  check_files(jobs, runner.model());
  for (const Job& job : jobs) write_maps(job.prefix, runner.run(read_ppm(job.photo, height, width)));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "usage: predict_maps MODEL HEIGHT WIDTH < list of photo.ppm<TAB>prefix\n";
    return 2;
  }
  return example::run_program("predict_maps", 1, [&] {
    predict_all(arguments[1], parse_extent(arguments[2], "height"), parse_extent(arguments[3], "width"));
    return 0;
  });
}
