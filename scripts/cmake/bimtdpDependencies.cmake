# SPDX-License-Identifier: Apache-2.0
# Finds what the headers include and links it to one target. Used by CMakeLists.txt and, installed beside it, by
# bimtdpConfig.cmake, so that both ways of taking the library see the same dependencies.

# A target that the surrounding project made (FetchContent, add_subdirectory) is taken before an installed package.
macro(bimtdp_find_dependencies)
  if(NOT TARGET xsimd)
    # Unversioned: xsimd's version file accepts one major version only, and 8.1 to 14 all work.
    find_package(xsimd CONFIG QUIET)
    if(NOT xsimd_FOUND)
      set(bimtdp_missing "xsimd 8.1 or newer was not found (Debian, Ubuntu: apt install libxsimd-dev)")
    elseif(xsimd_VERSION VERSION_LESS 8.1)
      set(bimtdp_missing "xsimd ${xsimd_VERSION} is too old: 8.1 or newer is needed")
    endif()
  endif()
  if(NOT TARGET nlohmann_json::nlohmann_json)
    find_package(nlohmann_json CONFIG QUIET)
    if(NOT nlohmann_json_FOUND)
      set(bimtdp_missing "nlohmann_json was not found (Debian, Ubuntu: apt install nlohmann-json3-dev)")
    endif()
  endif()
  find_path(BIMTDP_XXHASH_INCLUDE_DIR xxhash.h DOC "Folder of xxhash.h")
  mark_as_advanced(BIMTDP_XXHASH_INCLUDE_DIR)
  if(NOT BIMTDP_XXHASH_INCLUDE_DIR)
    set(bimtdp_missing "xxhash.h was not found (Debian, Ubuntu: apt install libxxhash-dev)")
  endif()
  if(NOT TARGET Threads::Threads)
    find_package(Threads QUIET)
    if(NOT Threads_FOUND)
      set(bimtdp_missing "CMake found no way to link threads")
    endif()
  endif()
endmacro()

# Appends the dependencies to the link interface of `target`; `wrap` is BUILD_INTERFACE, or empty for an imported target.
function(bimtdp_link_dependencies target wrap)
  get_target_property(xsimd_libraries xsimd INTERFACE_LINK_LIBRARIES)
  get_target_property(xsimd_imported xsimd IMPORTED)
  if(xsimd_imported AND xsimd_libraries MATCHES "xtl" AND NOT TARGET xtl)
    # Debian 12's package names a target that it does not ship; the linker would look for a library libxtl.
    set_property(TARGET xsimd PROPERTY INTERFACE_LINK_LIBRARIES "")
  endif()
  set(libraries xsimd nlohmann_json::nlohmann_json Threads::Threads)
  # What the project above found itself it sees already, and only the folder that made a target may make it global.
  get_property(made_here DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(library IN LISTS libraries)
    get_target_property(is_global ${library} IMPORTED_GLOBAL)
    if(wrap AND library IN_LIST made_here AND NOT is_global)
      set_target_properties(${library} PROPERTIES IMPORTED_GLOBAL TRUE)  # seen by the project above, too
    endif()
  endforeach()
  # /usr/include must never be passed as -isystem: libstdc++'s include_next would miss its C headers.
  set(directories "${BIMTDP_XXHASH_INCLUDE_DIR}")
  list(REMOVE_ITEM directories ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES})
  if(wrap)
    list(TRANSFORM libraries REPLACE "(.+)" "$<${wrap}:\\1>")
    list(TRANSFORM directories REPLACE "(.+)" "$<${wrap}:\\1>")
  endif()
  set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES ${libraries})
  if(directories)
    set_property(TARGET ${target} APPEND PROPERTY INTERFACE_INCLUDE_DIRECTORIES ${directories})
  endif()
endfunction()
