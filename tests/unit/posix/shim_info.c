/* SPDX-License-Identifier: Apache-2.0 */
/* The information page of the shim: constant for posix/, written once here. */
#include <isolation/gate_abi.h>
#include <kernel/image.h>

struct gate_info posix_info;
_Thread_local struct gate_words posix_words;
struct image_header shim_image;
