# SPDX-License-Identifier: Apache-2.0
"""Images whose kernel breaks: other instructions are where one of its functions begins."""
from atoll.elf import PT_LOAD, Elf

KERNEL_BASE = 0xffffffff80000000
UD2, JUMP_TO_SELF = b"\x0f\x0b", b"\xeb\xfe"


def put(image, address, code):
    """Puts code over what the loader puts at an address of the kernel."""
    for segment in Elf(image, "image").segments:
        inside = address - KERNEL_BASE - segment.physical
        if segment.kind == PT_LOAD and 0 <= inside < segment.file_bytes:
            image[segment.offset + inside:segment.offset + inside + len(code)] = code
            return
    raise AssertionError(f"{address:#x} is not in the image")


def broken_image(guest, function, program, *arguments, hangs_in=None, code=UD2, variant="image", **settings):
    """(image whose kernel has the code at the function's beginning, the function's address); who comes to
    hangs_in stays there. code: bytes, or a function that makes them of the kernel's Elf and that address."""
    image = bytearray(guest.pack(program, *arguments, variant=variant, **settings))
    kernel = Elf(guest.parts(variant)[0].read_bytes(), "kernel")
    symbols = kernel.symbols()
    put(image, symbols[function], code(kernel, symbols[function]) if callable(code) else code)
    if hangs_in:
        put(image, symbols[hangs_in], JUMP_TO_SELF)
    return bytes(image), symbols[function]
