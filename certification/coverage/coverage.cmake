# SPDX-License-Identifier: Apache-2.0
# Coverage build of the kernel side (-DATOLL_COVERAGE=ON, clang-19 only): line, branch and MC/DC
# counters, dumped by coverage_dump() (coverage.h). Included at the end of the top-level file; applies
# to those of the listed targets that exist. What runs on the boot tables cannot count, because
# .percore is not mapped there: kernel_boot, kernel_memory, kernel_image, kernel/main/main.c and the
# functions of boot_functions.list are measured by hosted tests instead.
#
# The kernel's linker script INCLUDEs percore.ld inside .percore and map.ld at its end, in every build
# (-L certification/coverage): both are empty without instrumentation.
if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang" OR NOT CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 19
        OR CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 20)
    message(FATAL_ERROR "ATOLL_COVERAGE needs clang 19 (-DCMAKE_C_COMPILER=clang-19): the raw profile "
        "that certification/coverage/run.py writes is that version's")
endif()

# What gcc accepts and clang warns of: attributes of gcc's, a function pointer that promises noreturn.
target_compile_options(atoll_freestanding INTERFACE
    -Wno-unknown-attributes -Wno-incompatible-function-pointer-types)

set(coverage_folder ${CMAKE_SOURCE_DIR}/certification/coverage)
add_library(coverage STATIC ${coverage_folder}/dump.c)
target_include_directories(coverage PUBLIC ${coverage_folder})
target_compile_definitions(coverage PUBLIC ATOLL_COVERAGE=1)
target_link_libraries(coverage PRIVATE atoll_kernel_flags)

# clang only warns of a decision that it cannot measure (a nested boolean expression), even under
# -Werror: such a decision has no MC/DC row, and is to be rewritten.
# Counters are per core and interrupts are off: no atomic update is needed.
set(coverage_options -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc
    -fprofile-list=${coverage_folder}/boot_functions.list)
foreach(target IN ITEMS percpu isolation isolation_gate isolation_audit)
    if(TARGET ${target})
        target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:${coverage_options}>")
    endif()
endforeach()

if(TARGET kernel.elf)
    set(main_sources core.c operations.c trap.c)
    list(TRANSFORM main_sources PREPEND ${CMAKE_SOURCE_DIR}/kernel/main/)
    set_source_files_properties(${main_sources}
        DIRECTORY ${CMAKE_SOURCE_DIR}/kernel/main
        PROPERTIES COMPILE_OPTIONS "${coverage_options}")
    # Brings coverage_dump, ATOLL_COVERAGE=1 for the code that calls it, and __llvm_profile_runtime.
    target_link_libraries(kernel.elf PRIVATE coverage)
    target_sources(kernel.elf PRIVATE ${coverage_folder}/leave.c)
endif()
