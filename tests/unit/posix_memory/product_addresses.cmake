# SPDX-License-Identifier: Apache-2.0
# memory/ and file/ with tests at the product's own addresses, on the build machine's mmap. The address
# sanitizer's shadow lies there, so only the undefined-behaviour sanitizer is on.
set(POSIX_MEMORY_SOURCES)
foreach(stem region slot slot_range mmap brk advice mremap heap pages stacks)
    list(APPEND POSIX_MEMORY_SOURCES ${CMAKE_SOURCE_DIR}/posix/memory/${stem}.c)
endforeach()
set(POSIX_FILE_SOURCES)
foreach(stem transfer descriptor descriptor_calls watch io open status names rename listing
        attributes image tree walk node data console console_watch discipline discipline_show terminal
        terminal_input terminal_control seal size_limit device shared record_lock send times
        xattr text synthetic process_text process_names hand_out system_text start)
    list(APPEND POSIX_FILE_SOURCES ${CMAKE_SOURCE_DIR}/posix/file/${stem}.c)
endforeach()

function(atoll_product_address_test NAME)
    cmake_parse_arguments(UNIT "" "" "SOURCES;DEFINES" ${ARGN})
    add_executable(${NAME} ${UNIT_SOURCES}
        ${CMAKE_SOURCE_DIR}/tests/unit/posix_memory/shim.c
        ${POSIX_MEMORY_SOURCES} ${POSIX_FILE_SOURCES})
    target_link_libraries(${NAME} PRIVATE atoll_warnings isolation_abi posix_interface)
    target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
    target_compile_definitions(${NAME} PRIVATE ATOLL_HOSTED=1 _GNU_SOURCE ${UNIT_DEFINES})
    target_compile_options(${NAME} PRIVATE -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -fPIE
        $<$<BOOL:${ATOLL_SANITIZE}>:-fsanitize=undefined;-fno-sanitize-recover=all>)
    target_link_options(${NAME} PRIVATE -pie $<$<BOOL:${ATOLL_SANITIZE}>:-fsanitize=undefined>)
    add_test(NAME ${NAME} COMMAND ${NAME})
    set_tests_properties(${NAME} PROPERTIES TIMEOUT 120)
endfunction()
