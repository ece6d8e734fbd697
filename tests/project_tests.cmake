# SPDX-License-Identifier: Apache-2.0
# Tests of the project as a whole: rules of the tree, headers, packaging, examples, the trained models.
if(NOT BIMTDP_SANITIZE)
  add_subdirectory(two_units)
  add_subdirectory(plugin)
  add_subdirectory(documents)

  find_program(BIMTDP_BASH bash)
  mark_as_advanced(BIMTDP_BASH)
  if(BIMTDP_BASH)
    add_test(NAME tree COMMAND "${BIMTDP_BASH}" "${CMAKE_CURRENT_SOURCE_DIR}/check_tree.sh" ${PROJECT_VERSION})
    add_test(NAME tree_rules_bite COMMAND "${BIMTDP_BASH}" "${CMAKE_CURRENT_SOURCE_DIR}/check_tree_bites.sh")
    if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
      add_test(NAME headers_stand_alone COMMAND "${BIMTDP_BASH}" "${CMAKE_CURRENT_SOURCE_DIR}/check_headers.sh" "${CMAKE_CXX_COMPILER}")
    endif()
  endif()

  # On another machine the NEON kernels run under qemu, where that and a cross-compiler are installed.
  find_program(BIMTDP_ARM_COMPILER aarch64-linux-gnu-g++)
  find_program(BIMTDP_ARM_EMULATOR qemu-aarch64)
  mark_as_advanced(BIMTDP_ARM_COMPILER BIMTDP_ARM_EMULATOR)
  if(BIMTDP_BASH AND BIMTDP_ARM_COMPILER AND BIMTDP_ARM_EMULATOR AND EXISTS /usr/include/xsimd AND NOT "neon" IN_LIST tiers)
    add_test(NAME neon COMMAND "${BIMTDP_BASH}" "${CMAKE_CURRENT_SOURCE_DIR}/check_neon.sh" "${BIMTDP_ARM_COMPILER}"
      "${BIMTDP_ARM_EMULATOR}" "${CMAKE_CURRENT_BINARY_DIR}/neon")
  endif()

  # A project of its own uses the library: from the source tree with the library compiled once, after an install without.
  set(generator --build-generator "${CMAKE_GENERATOR}")
  set(consumer_options "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}")
  add_test(NAME consumer/add_subdirectory COMMAND "${CMAKE_CTEST_COMMAND}"
    --build-and-test "${CMAKE_CURRENT_SOURCE_DIR}/consumer" "${CMAKE_CURRENT_BINARY_DIR}/consumer_subdirectory" ${generator}
    --build-options ${consumer_options} "-DCMAKE_BUILD_TYPE=Debug" "-DBIMTDP_SOURCE_DIR=${PROJECT_SOURCE_DIR}" --test-command my_program)
  if(BIMTDP_INSTALL)
    set(prefix "${CMAKE_CURRENT_BINARY_DIR}/installed")
    file(GLOB snippet "${CMAKE_CURRENT_BINARY_DIR}/documents/README_*.cmake")
    add_test(NAME install COMMAND "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --prefix "${prefix}")
    set_tests_properties(install PROPERTIES FIXTURES_SETUP installed)
    add_test(NAME consumer/find_package COMMAND "${CMAKE_CTEST_COMMAND}"
      --build-and-test "${CMAKE_CURRENT_SOURCE_DIR}/consumer" "${CMAKE_CURRENT_BINARY_DIR}/consumer_package" ${generator}
      --build-options ${consumer_options} "-DCMAKE_BUILD_TYPE=Debug" "-DCMAKE_PREFIX_PATH=${prefix}" "-DBIMTDP_EXPECTED_VERSION=${PROJECT_VERSION}"
      "-DBIMTDP_SNIPPET=${snippet}"
      --test-command my_program)
    set_tests_properties(consumer/find_package PROPERTIES FIXTURES_REQUIRED installed)
  endif()
endif()

if(NOT BIMTDP_EXAMPLES)
  return()
endif()

# Every model of the repository keeps its self-test on every tier and gives pictures of the photos.
set(examples "${PROJECT_SOURCE_DIR}/examples")
file(GLOB models CONFIGURE_DEPENDS "${examples}/models/*.safetensors")
foreach(model IN LISTS models)
  get_filename_component(name "${model}" NAME_WE)
  add_test(NAME example/minimal/${name} COMMAND minimal "${model}")
  add_test(NAME example/dense_prediction/${name} COMMAND dense_prediction "${examples}/photos/office.jpg"
    "${examples}/photos/lounge.jpg" --model "${model}" --output "${CMAKE_CURRENT_BINARY_DIR}/pictures" --size 64 96)
  set_tests_properties(example/dense_prediction/${name} PROPERTIES PASS_REGULAR_EXPRESSION "lounge/panel.jpg")
  if(NOT BIMTDP_SANITIZE)
    foreach(tier IN LISTS tiers)
      add_test(NAME verify/${name}/${tier} COMMAND verify_model "${model}")
      set_tests_properties(verify/${name}/${tier} PROPERTIES ENVIRONMENT "BIMTDP_ISA=${tier}" LABELS tier
        SKIP_REGULAR_EXPRESSION "this CPU does not run the tier")
    endforeach()
  endif()
endforeach()

list(GET models 0 model)
add_test(NAME example/dense_prediction/profile COMMAND dense_prediction "${examples}/photos/office.jpg" --model "${model}"
  --output "${CMAKE_CURRENT_BINARY_DIR}/pictures" --size 64 96 --profile "${CMAKE_CURRENT_BINARY_DIR}/trace.json")
set_tests_properties(example/dense_prediction/profile PROPERTIES PASS_REGULAR_EXPRESSION "sum of the nodes' bounds.*trace.json")

# Results that would collide, standard output closed or full, a full disk.
if(BIMTDP_BASH AND NOT BIMTDP_SANITIZE)
  add_test(NAME example/programs COMMAND "${BIMTDP_BASH}" "${CMAKE_CURRENT_SOURCE_DIR}/check_programs.sh"
    "$<TARGET_FILE_DIR:dense_prediction>" "${model}" "${examples}/photos/office.jpg" "${CMAKE_CURRENT_BINARY_DIR}/programs")
endif()

# Files that are no photo or no model: one message, exit status 1, no crash.
foreach(case "no_photo;${examples}/photos/README.md;model" "no_model;${examples}/photos/office.jpg;${examples}/photos/README.md")
  list(GET case 0 name)
  list(GET case 1 photo)
  list(GET case 2 model)
  add_test(NAME example/dense_prediction/${name} COMMAND dense_prediction "${photo}" --model "${model}")
  set_tests_properties(example/dense_prediction/${name} PROPERTIES PASS_REGULAR_EXPRESSION "^dense_prediction: [^\n]+\n$")
endforeach()
