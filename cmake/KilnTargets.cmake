# The few forms every part of Kiln uses, so that a folder's CMakeLists.txt is only a list.

# kiln_library(name SOURCES a.cc … DEPS …): a static library `kiln_<name>`.
function(kiln_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(kiln_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(kiln_${name} PUBLIC ${ARG_DEPS} PRIVATE kiln_flags)
  else()
    add_library(kiln_${name} INTERFACE)
    target_link_libraries(kiln_${name} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

# kiln_binary(name SOURCES … DEPS …): an executable called exactly `name`, in <build>/bin.
function(kiln_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} kiln_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# The unit and component tests with what they run, without those that serve gRPC: all that the build
# for the thread sanitizer needs.
add_custom_target(tests_without_grpc)

# kiln_test(name SOURCES x_test.cc … DEPS … [TIMEOUT seconds] [LABELS …] [WRAPPER program]): one
# GoogleTest program `<name>_test`, run as one ctest test from the source folder. WRAPPER is a program
# that runs the one named behind it, such as umockdev-wrapper. Label a test that serves gRPC `grpc`.
function(kiln_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;WRAPPER" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main kiln_flags)
  add_test(NAME ${name} COMMAND ${ARG_WRAPPER} $<TARGET_FILE:${name}_test>
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if(NOT grpc IN_LIST ARG_LABELS)
    add_dependencies(tests_without_grpc ${name}_test)
  endif()
  if(ARG_WRAPPER AND KILN_SANITIZE MATCHES address)
    # What a wrapper preloads comes before the sanitizer's library.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "ASAN_OPTIONS=verify_asan_link_order=0")
  endif()
endfunction()

# kiln_fuzzer(name SOURCES x_fuzz.cc … DEPS … [CORPUS folder]): a libFuzzer program `<name>_fuzz`, in
# <build>/fuzz, when KILN_FUZZERS is on; `scripts/check fuzz` runs them all. The sources name the code
# under test, too, so that it is compiled with the fuzzer's eyes. CORPUS holds seeds, one a file: they
# run as the unit test `<name>_seeds` as well.
function(kiln_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(ARG_CORPUS)
    get_filename_component(corpus ${ARG_CORPUS} ABSOLUTE)
  endif()
  if(BUILD_TESTING AND ARG_CORPUS)
    add_executable(${name}_seeds_test ${ARG_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz_seeds_main.cc)
    target_link_libraries(${name}_seeds_test PRIVATE ${ARG_DEPS} kiln_flags)
    add_test(NAME ${name}_seeds COMMAND ${name}_seeds_test ${corpus})
    set_tests_properties(${name}_seeds PROPERTIES TIMEOUT 60 LABELS unit)
    add_dependencies(tests_without_grpc ${name}_seeds_test)
  endif()
  if(NOT KILN_FUZZERS)
    return()
  endif()
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "KILN_FUZZERS needs Clang")
  endif()
  add_executable(${name}_fuzz EXCLUDE_FROM_ALL ${ARG_SOURCES})
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_DEPS} kiln_flags)
  target_compile_options(${name}_fuzz PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer,address,undefined)
  set_target_properties(${name}_fuzz PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  if(ARG_CORPUS)
    file(WRITE ${CMAKE_BINARY_DIR}/fuzz/${name}_fuzz.corpus ${corpus})
  endif()
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name}_fuzz)
endfunction()
