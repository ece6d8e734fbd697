// SPDX-License-Identifier: Apache-2.0
// verify_model MODEL: replays the model's self-test on this CPU and compares every node without tolerance.
// verify_model MODEL --against RECORDING [--report OUT.json]: compares the engine with values that PyTorch recorded:
//   node by node on PyTorch's own inputs, then running freely. scripts/convert.py does this for every model it writes.
//
// A recording is a safetensors file: "value.i" float32 [h,w,c] of every node i (bits as +1 and -1), and for nodes that
// make bits out of floats "presign.i", the floats whose sign was taken. Exit status: 0 agrees, 1 differs, 2 cannot run.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/safetensors.hpp>
#include <bimtdp/run/kept_run.hpp>

#include <nlohmann/json.hpp>

#include "program.hpp"

#include <cmath>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace bimtdp;
using Json = nlohmann::json;

/// Floats may differ by this share of the tensor's largest value; a sign where the value before it is below that.
constexpr double tolerance = 1e-5;
/// Free running: the largest share of a layer's bits that may differ.
constexpr double max_flipped_share = 1e-4;
/// Free running without a single flip: the most that a task's map may differ, as a share of its largest value.
constexpr double max_output_difference = 1e-3;

class Recording {
 public:
  explicit Recording(const std::string& path) : file_(SafeTensors::read(path)) {}

  [[nodiscard]] bool has_presign(NodeId id) const { return file_.find("presign." + std::to_string(id)) != nullptr; }
  [[nodiscard]] Tensor<float> value(NodeId id) const { return map("value." + std::to_string(id)); }
  [[nodiscard]] Tensor<float> presign(NodeId id) const { return map("presign." + std::to_string(id)); }
  /// The recorded value in the type that the graph gives it.
  [[nodiscard]] Value typed(NodeId id, ValueType type) const {
    const Tensor<float> map = value(id);
    return type == ValueType::bits ? Value::signs(map) : Value(map);
  }

 private:
  [[nodiscard]] Tensor<float> map(const std::string& name) const {
    const StoredTensor& stored = file_.at(name);
    check_equal(stored.shape.size(), std::size_t{3}, file_.file() + ": " + name, "dimensions");
    const AlignedVector<float> values = to_floats(stored, file_.file());
    Tensor<float> result({stored.shape[0], stored.shape[1], stored.shape[2]});
    check_equal(values.size(), result.span().size(), file_.file() + ": " + name, "values");
    if (!values.empty()) std::memcpy(result.data(), values.data(), values.size() * sizeof(float));
    return result;
  }

  SafeTensors file_;
};

struct Difference {
  std::size_t elements = 0;
  std::size_t flips = 0;  ///< bits that differ
  std::size_t ties = 0;   ///< flips whose value before the sign is within the tolerance of 0
  double largest = 0;     ///< |engine - PyTorch| of floats
  double scale = 0;       ///< largest |value|: of the floats, or before the signs

  [[nodiscard]] double relative() const { return largest == 0 ? 0 : scale == 0 ? INFINITY : largest / scale; }
  [[nodiscard]] double flipped_share() const {
    return elements == 0 ? 0 : static_cast<double>(flips) / static_cast<double>(elements);
  }
  /// NaN, which compares false, fails.
  [[nodiscard]] bool agrees() const { return flips <= ties && relative() <= tolerance; }
};

double largest_magnitude(std::span<const float> values) {
  double largest = 0;
  for (const float v : values) largest = std::isnan(v) ? INFINITY : std::max(largest, std::abs(static_cast<double>(v)));
  return largest;
}

/// `presign`: recorded floats before the signs, or empty where bits come from bits and no tie exists.
Difference compare(const ValueRef& engine, const Tensor<float>& recorded, std::span<const float> presign) {
  const Tensor<float> got = engine.to_tensor();
  check_equal(got.shape(), recorded.shape(), "recording", "shape");
  Difference d{.elements = got.span().size()};
  const bool bits = engine.type == ValueType::bits;
  d.scale = largest_magnitude(bits ? presign : recorded.span());
  for (std::size_t i = 0; i < d.elements; ++i) {
    const double difference = std::abs(static_cast<double>(got.span()[i]) - static_cast<double>(recorded.span()[i]));
    if (!bits) {
      d.largest = std::isnan(difference) ? INFINITY : std::max(d.largest, difference);
    } else if (difference != 0) {
      ++d.flips;
      if (!presign.empty() && std::abs(static_cast<double>(presign[i])) <= tolerance * d.scale) ++d.ties;
    }
  }
  return d;
}

struct NodeReport {
  Difference alone, free;
};

NodeReport check_node(const Recording& recording, const Runner& runner, NodeId id, KeptRun& free) {
  const Graph& graph = runner.model().graph();
  const Tensor<float> expected = recording.value(id);
  const Tensor<float> presign = recording.has_presign(id) ? recording.presign(id) : Tensor<float>{};
  NodeReport report;
  report.free = compare(free.value(id), expected, presign.span());
  if (id == 0) {
    report.alone = report.free;
    return report;
  }
  std::vector<Value> inputs;
  for (const NodeId input : graph.nodes()[id].inputs) inputs.push_back(recording.typed(input, graph.values()[input].type));
  const Value value = runner.run_node(id, inputs);
  // Signs of a binary convolution come from integers: nothing that rounds lies between, so no tie excuses a flip.
  const bool from_bits = std::holds_alternative<BinaryConv2dNode>(graph.nodes()[id].op);
  report.alone = compare(value.ref(), expected, presign.span());
  if (from_bits) report.alone.ties = 0;
  return report;
}

Json to_json(const Difference& d) {
  return {{"max_difference", d.largest}, {"scale", d.scale}, {"flips", d.flips}, {"ties", d.ties}};
}

void progress(std::size_t done, std::size_t of) {
  if (done * 100 / of == (done - 1) * 100 / of) return;
  std::cerr << "\rverify: node " << done << " of " << of << (done == of ? "\n" : "") << std::flush;
}

int verify_against(const Model& model, const std::string& path, const std::string& report_path, bool quiet) {
  const Recording recording(path);
  const Tensor<float> input = recording.value(0);
  const Runner runner(model);
  KeptRun free(*model.program(), input);
  KeptRun reference(*model.program(kernels::reference_table()), input);
  const Graph& graph = model.graph();
  Json nodes = Json::array(), digests = Json::array();
  Difference worst, worst_free;
  std::vector<Difference> free_differences;
  std::size_t flips = 0, free_flips = 0, failures = 0, excess = 0;
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    const NodeReport report = check_node(recording, runner, id, free);
    const std::string name = label(id, graph.nodes()[id]);
    const bool tiers_agree = digest(free.value(id).bytes()) == digest(reference.value(id).bytes());
    if (!report.alone.agrees() || !tiers_agree) {
      ++failures;
      std::cerr << (quiet ? "" : "\n") << name << ": " << (tiers_agree ? "differs from PyTorch" : "tiers differ")
                << " (largest difference " << report.alone.largest << " of " << report.alone.scale << ", " << report.alone.flips
                << " flipped signs, " << report.alone.ties << " of them ties)\n";
    }
    if (report.free.flipped_share() > max_flipped_share) ++excess;
    if (report.alone.relative() >= worst.relative()) worst = report.alone;
    if (report.free.relative() >= worst_free.relative()) worst_free = report.free;
    flips += report.alone.flips, free_flips += report.free.flips;
    free_differences.push_back(report.free);
    nodes.push_back({{"name", graph.nodes()[id].name},
                     {"op", std::string(op_name(graph.nodes()[id].op))},
                     {"type", std::string(to_string(graph.values()[id].type))},
                     {"elements", report.alone.elements},
                     {"agrees", report.alone.agrees() && tiers_agree},
                     {"alone", to_json(report.alone)},
                     {"free", to_json(report.free)}});
    digests.push_back(digest(reference.value(id).bytes()));
    if (!quiet) progress(id + 1, graph.nodes().size());
  }
  Json outputs = Json::array();
  std::size_t far = 0;
  for (const Output& output : model.outputs()) {
    const Difference& d = free_differences[output.node];
    if (free_flips == 0 && !(d.relative() <= max_output_difference)) ++far;
    outputs.push_back({{"task", output.task}, {"node", output.node}, {"free", to_json(d)}});
  }
  if (!report_path.empty()) {
    write_file(report_path, [&](std::ostream& out) {
      out << Json{{"tier", kernels::active().name},
                  {"tolerance", tolerance},
                  {"failures", failures},
                  {"layers_with_too_many_flips", excess},
                  {"outputs_too_far", far},
                  {"outputs", outputs},
                  {"nodes", nodes},
                  {"digests", digests}}
                 .dump(1)
          << '\n';
    });
  }
  std::cout << graph.nodes().size() << " nodes compared on " << kernels::active().name << ": largest float difference "
            << worst.relative() << " of the tensor's largest value, " << flips << " ties; running freely " << worst_free.relative()
            << " and " << free_flips << " flipped signs\n";
  if (failures > 0) std::cerr << failures << " nodes differ from PyTorch\n";
  if (excess > 0) std::cerr << excess << " layers have more than 1 flipped sign in 10,000 when the network runs freely\n";
  if (far > 0)
    std::cerr << far << " outputs differ by more than " << max_output_difference
              << " of their largest value without any flipped sign\n";
  return failures == 0 && excess == 0 && far == 0 ? 0 : 1;
}

int replay_self_test(const Model& model) {
  const VerifyReport report = model.verify_self_test();
  if (!report.checked) {
    std::cerr << model.name() << ": the file holds no self-test (converted with --no-verify)\n";
    return 1;
  }
  if (report.first_difference) {
    const auto& d = *report.first_difference;
    std::cerr << model.name() << ": " << d.description << " differs on " << report.tier << " (got " << d.got << ", expected "
              << d.expected << ")\n";
    return 1;
  }
  std::cout << model.name() << ": " << report.nodes << " tensors identical on " << report.tier << '\n';
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  std::string against, report;
  bool bad = words.empty() || words[0].starts_with("--"), quiet = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--quiet") {
      quiet = true;
    } else if ((words[i] == "--against" || words[i] == "--report") && i + 1 < words.size()) {
      (words[i] == "--against" ? against : report) = words[i + 1];
      ++i;
    } else {
      bad = true;
    }
  }
  if (bad || (against.empty() && !report.empty())) {
    std::cerr << "usage: verify_model MODEL [--against RECORDING [--report OUT.json]] [--quiet]\n";
    return 2;
  }
  return example::run_program("verify_model", 2, [&] {
    const Model model = Model::load(words[0]);
    return against.empty() ? replay_self_test(model) : verify_against(model, against, report, quiet);
  });
}
