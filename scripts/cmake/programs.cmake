# SPDX-License-Identifier: Apache-2.0
# What tests, examples and benchmarks share; none of it reaches users of the library.
get_property(bimtdp_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(PROJECT_IS_TOP_LEVEL AND NOT bimtdp_multi_config AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

add_library(bimtdp_program INTERFACE)
target_link_libraries(bimtdp_program INTERFACE bimtdp::bimtdp)
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(bimtdp_program INTERFACE -Wall -Wextra -Wconversion $<$<BOOL:${BIMTDP_WERROR}>:-Werror>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(bimtdp_program INTERFACE -Wno-restrict)  # false alarms of "text" + std::string
  endif()
  if(BIMTDP_SANITIZE)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(bimtdp_program INTERFACE -Wno-maybe-uninitialized)  # false alarms, as its manual says
    endif()
    target_compile_options(bimtdp_program INTERFACE
      -fsanitize=${BIMTDP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_definitions(bimtdp_program INTERFACE BIMTDP_SANITIZED)
    target_link_options(bimtdp_program INTERFACE -fsanitize=${BIMTDP_SANITIZE})
  endif()
endif()
target_link_libraries(bimtdp_compiled PRIVATE bimtdp_program)
if(BIMTDP_SANITIZE)
  target_compile_options(bimtdp_compiled PRIVATE -O1)  # the rest compiles in half the time without, and runs fast enough
endif()

# Decoders of photos, where they are installed; stb_image, a header, is behind what is missing.
add_library(bimtdp_photo_decoders INTERFACE)
find_package(JPEG QUIET)
if(TARGET JPEG::JPEG)
  target_link_libraries(bimtdp_photo_decoders INTERFACE JPEG::JPEG)
  target_compile_definitions(bimtdp_photo_decoders INTERFACE EXAMPLE_LIBJPEG)
endif()
find_package(PNG QUIET)
if(TARGET PNG::PNG)
  target_link_libraries(bimtdp_photo_decoders INTERFACE PNG::PNG)
  target_compile_definitions(bimtdp_photo_decoders INTERFACE EXAMPLE_LIBPNG)
endif()
