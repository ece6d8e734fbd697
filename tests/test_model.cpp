// SPDX-License-Identifier: Apache-2.0
// Model files: written, read back, verified on every table; each kind of damage has its own message.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/replay.hpp>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "model_file.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

using namespace bimtdp;
using Json = nlohmann::json;
using test::error_of;
using test::holds;

namespace {

std::string load_error(const test::Bytes& bytes) {
  return error_of([&] { (void)Model::load(bytes); });
}

/// The message after an edit of the JSON text's object.
template <class Edit>
std::string edited_error(const test::ModelFile& file, Edit&& edit) {
  Json json = Json::parse(to_json(file.text));
  edit(json);
  return load_error(test::raw_file(file.header(json.dump()), file.data()));
}

}  // namespace

TEST_CASE("a model file round trip keeps everything") {
  const Graph graph = test::every_operation();
  const test::ModelFile file = test::model_file(graph);
  const Model model = Model::load(file.bytes());
  CHECK(model.name() == "small");
  CHECK(model.licence() == "Apache-2.0");
  CHECK(model.info().provenance.at("data") == "none");
  CHECK(model.stride() == 4);
  CHECK(model.preprocessing().height == 32);
  CHECK(model.outputs().size() == graph.outputs().size());
  CHECK(model.outputs()[0].kind == OutputKind::normals);
  REQUIRE(model.self_test().has_value());

  test::ModelFile again = file;  // nodes -> JSON -> nodes -> JSON
  again.text.nodes = model.graph().nodes();
  CHECK(to_json(again.text) == to_json(file.text));

  const Image photo = test::noise_photo(16, 24);
  const Predictions from_file = model.run(photo), by_hand = Model(graph).run(photo);
  for (const Predictions::Task& task : from_file) {
    const auto expected = by_hand[task.name].span();
    CHECK(std::equal(task.map.span().begin(), task.map.span().end(), expected.begin(), expected.end()));
  }
}

TEST_CASE("verify replays the self-test on every table") {
  const Model model = Model::load(test::model_file(test::every_operation()).bytes());
  const VerifyReport active = model.verify_self_test();
  CHECK(active.ok());
  CHECK(active.nodes == model.graph().nodes().size());
  CHECK(active.tier == kernels::active().name);
  for (const kernels::KernelTable* table : kernels::tables()) {
    const VerifyReport report = model.verify_self_test(*table);
    INFO(table->name << (report.first_difference ? report.first_difference->description : ""));
    CHECK(report.ok());
  }
  CHECK(model.verify_self_test(kernels::reference_table()).ok());
}

TEST_CASE("verify names the first node that differs") {
  test::ModelFile file = test::model_file(test::every_operation());
  file.text.self_test->digests[5] = std::string(32, '0');
  file.text.self_test->digests[9] = std::string(32, '1');
  const VerifyReport report = Model::load(file.bytes()).verify_self_test();
  CHECK_FALSE(report.ok());
  REQUIRE(report.first_difference.has_value());
  CHECK(report.first_difference->node == 5);
  CHECK(holds(report.first_difference->description, {"avg_pool2d", "avg_pool"}));
  CHECK(report.first_difference->expected == std::string(32, '0'));
}

TEST_CASE("an unchecked file loads and verify says so") {
  const Model model = Model::load(test::model_file(test::small_network(), /*unchecked=*/true).bytes());
  const VerifyReport report = model.verify_self_test();
  CHECK_FALSE(report.checked);
  CHECK_FALSE(report.ok());
  CHECK(report.nodes == 0);
}

TEST_CASE("the self-test photo is made of blocks of noise") {
  const Image photo = self_test_photo(20, 17, 42);
  CHECK(photo.shape() == Shape{20, 17, 3});
  std::uint64_t state = 42;
  const std::uint64_t first = splitmix64(state), second = splitmix64(state);
  CHECK(photo(7, 7, 0) == static_cast<std::uint8_t>(first));
  CHECK(photo(0, 8, 1) == static_cast<std::uint8_t>(first >> 32));
  CHECK(photo(3, 16, 2) == static_cast<std::uint8_t>(second));
  CHECK(photo(0, 0, 0) == photo(7, 7, 0));
  std::uint64_t zero = 0;
  CHECK(splitmix64(zero) == 0xE220A8397B1DCDAFu);  // the published first number of the sequence from 0
}

TEST_CASE("damage has its own message") {
  const test::ModelFile file = test::model_file(test::small_network());
  CHECK(load_error(file.bytes()).empty());

  test::Bytes damaged = file.bytes();
  damaged.back() ^= std::byte{1};
  CHECK(holds(load_error(damaged), {"tensors_hash", "damaged", "got", "expected"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["format_version"] = 2; }), {"format_version", "got 2"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["format_version"] = 1.0; }), {"format_version", "1.0", "integer"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["extra"] = 1; }), {"unknown field 'extra'"}));
  CHECK(holds(edited_error(file, [](Json& j) { j.erase("licence"); }), {"missing field 'licence'"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][1]["op"] = "conv3d"; }), {"node 1", "unknown op 'conv3d'"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][1]["inputs"][0] = 1; }), {"node 1", "stem", "earlier node"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][1]["inputs"][0] = -1; }), {"node 1", "-1", "integer >= 0"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][1]["stride"][0] = 0; }), {"node 1", "stride", "got 0"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][1]["weight"] = "none"; }), {"node 1", "no weight 'none'"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][1]["groups"] = 2; }), {"node 1", "groups", "divisor"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][2]["typo"] = 1; }), {"node 2", "unknown field 'typo'"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"][5]["factor"] = 1 << 20; }), {"node 5", "output"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["outputs"][0]["class_names"].erase(0); }), {"segmentation", "channels"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["outputs"][1]["task"] = "segmentation"; }), {"two outputs"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["outputs"][1]["node"] = 99; }), {"depth", "node", "99"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["self_test"]["digests"].erase(0); }), {"self_test", "digests"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["self_test"]["height"] = 15; }), {"multiples of the stride"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["self_test"] = {{"unchecked", false}}; }), {"unchecked"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["preprocessing"]["std"][1] = 0; }), {"std", "positive"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["preprocessing"]["mean"][1] = "0"; }), {"mean", "number"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["stride"] = 0; }), {"stride", "got 0"}));
  CHECK(holds(edited_error(file, [](Json& j) { j["nodes"] = Json::array(); }), {"nodes", "got 0 items"}));

  CHECK(holds(load_error(test::raw_file(R"({"__metadata__":{"format":"pt"}})")), {"no bimtdp model"}));
  CHECK(holds(load_error(test::raw_file(R"({"__metadata__":{"bimtdp":"{}","x":"y"}})")), {"2 keys"}));
  CHECK(holds(load_error(test::raw_file(R"({"__metadata__":{"bimtdp":"{}","bimtdp_hash":"0"}})")), {"bimtdp_hash", "damaged"}));
  CHECK(holds(load_error(test::raw_file(test::ModelFile{}.header(R"({"name":1,"name":2})"))), {"duplicate key 'name'"}));
}

TEST_CASE("unknown fields are refused at every place") {
  const test::ModelFile file = test::model_file(test::every_operation());
  const auto unknown = [&](const std::string& place) {
    return edited_error(file, [&](Json& j) { j[Json::json_pointer(place)]["typo"] = 1; });
  };
  const auto node = [&](std::string_view name) {
    for (std::size_t id = 0; id < file.text.nodes.size(); ++id)
      if (file.text.nodes[id].name == name) return "/nodes/" + std::to_string(id);
    return std::string();
  };
  for (const std::string& place :
       {std::string(), node("stem"), node("stem") + "/activation", node("attention") + "/gates/0",
        node("attention") + "/messages/1", std::string("/outputs/0"), std::string("/preprocessing"), std::string("/self_test")}) {
    INFO(place);
    CHECK(holds(unknown(place), {"unknown field 'typo'"}));
  }
  CHECK(holds(edited_error(file, [](Json& j) { j["self_test"] = {{"unchecked", true}, {"typo", 1}}; }), {"unknown field 'typo'"}));
  const std::string sized = node("bilinear_size") + "/size/";
  for (const char* axis : {"0", "1"})
    CHECK(holds(edited_error(file, [&](Json& j) { j[Json::json_pointer(sized + axis)] = 0; }),
                {"size (got 0, expected at least 1)"}));
}

TEST_CASE("what a model says of itself, at its borders") {
  const auto said = [](auto change) {
    ModelInfo info;
    change(info);
    return error_of([&] { check_info(info); });
  };
  CHECK(said([](ModelInfo& info) { info.producer = std::string(256, 'a'); }).empty());
  CHECK(holds(said([](ModelInfo& info) { info.producer = std::string(257, 'a'); }), {"producer (got 257 bytes"}));
  const test::ModelFile file = test::model_file(test::small_network(), true);
  const auto facts = [&](int count) {
    return edited_error(file, [&](Json& j) {
      j["provenance"] = Json::object();
      for (int i = 0; i < count; ++i) j["provenance"]["k" + std::to_string(i)] = "v";
    });
  };
  CHECK(facts(256).empty());
  CHECK(holds(facts(257), {"provenance (got 257 fields"}));

  GraphBuilder g;  // a self-test's photo has three channels
  g.output({.task = "a", .node = g.add("unit", L2NormalizeNode{}, {g.input(4)})});
  test::ModelFile wide = test::model_file(g.build(), true);
  wide.text.self_test = SelfTest{8, 8, 1, std::vector<std::string>(2, std::string(32, '0'))};
  CHECK(holds(load_error(wide.bytes()), {"self_test: channels of the input (got 4, expected 3)"}));
}

TEST_CASE("weights that cannot be right are refused") {
  test::ModelFile file = test::model_file(test::small_network(), true);
  const auto rebuilt = [&](auto&& change) {
    test::ModelFile copy = file;
    Weights weights;
    for (const auto& [name, tensor] : file.weights.tensors()) {
      WeightTensor changed = tensor;
      change(name, changed);
      std::visit([&, n = name](auto& values) { weights.add(n, changed.shape, std::move(values)); }, changed.values);
    }
    copy.weights = std::move(weights);
    copy.text.tensors_hash = digest(copy.data());
    return load_error(copy.bytes());
  };
  CHECK(rebuilt([](const std::string&, WeightTensor&) {}).empty());
  const std::string binary = std::get<BinaryConv2dNode>(file.text.nodes[3].op).weight;
  CHECK(holds(rebuilt([&](const std::string& name, WeightTensor& t) {
                if (name == binary) std::get<1>(t.values)[4] |= std::uint64_t{1} << 40;
              }),
              {"node 3", "tail bits"}));
  CHECK(holds(rebuilt([&](const std::string& name, WeightTensor& t) {
                if (name == binary) std::swap(t.shape[0], t.shape[1]);
              }),
              {"node 3", "shape", "[3,18,3,1]"}));

  const std::string stem = std::get<Conv2dNode>(file.text.nodes[1].op).weight;
  test::Bytes data = file.data();
  std::string header = file.header(to_json(file.text));
  const auto found = Json::parse(header)[stem]["data_offsets"][0].get<std::size_t>();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(data.data() + found, &nan, 4);
  test::ModelFile rehashed = file;
  rehashed.text.tensors_hash = digest(data);
  CHECK(holds(load_error(test::raw_file(rehashed.header(to_json(rehashed.text)), data)), {stem, "not finite"}));
}

TEST_CASE("a runner meets more sizes than it keeps plans") {
  const Model model(test::small_network());
  Runner runner(model, {.threads = 2});
  CHECK(runner.threads() == 2);
  const auto depth_at = [&](std::size_t height) {
    return digest(std::as_bytes(runner.run(test::noise_photo(height, 48)).begin()->map.span()));
  };
  const std::string first = depth_at(32);
  for (std::size_t i = 1; i <= Runner::max_plans; ++i) (void)depth_at(32 + 16 * i);
  CHECK(depth_at(32) == first);
}

TEST_CASE("threads share one model") {
  const Model model = Model::load(test::model_file(test::every_operation()).bytes());
  const Image photo = test::noise_photo(16, 16);
  const Predictions expected = model.run(photo);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (std::size_t t = 0; t < equal.size(); ++t)
    threads.emplace_back([&, t] {
      Runner runner(model, {.threads = 1});
      for (int i = 0; i < 3; ++i) {
        const auto a = runner.run(photo)["normals"].span(), b = expected["normals"].span();
        equal[t] += std::equal(a.begin(), a.end(), b.begin(), b.end());
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : equal) CHECK(count == 3);
}
